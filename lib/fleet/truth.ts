import { appendFileSync, existsSync, mkdirSync, readFileSync, truncateSync } from 'node:fs'
import { dirname } from 'node:path'
import { z } from 'zod'
import { formatMicros, parseMicros } from '../time.ts'
import { FAULT_KINDS, type Episode } from './episodes.ts'

/**
 * The truth about injected faults, beside the readings and never in them: one JSON line an episode. An episode may
 * stand there twice (told again after a restart); its id is what counts.
 */
export function appendTruth(file: string): (episode: Episode) => void {
  mkdirSync(dirname(file), { recursive: true })
  if (existsSync(file)) truncateSync(file, lastLineEnd(readFileSync(file))) // a kill may have cut off the last line
  return (episode) => appendFileSync(file, encodeEpisode(episode) + '\n')
}

/** Where a producer's truth lies unless it is told otherwise. */
export function truthFile(spoolDir: string, producerId: string): string {
  return `${spoolDir}/truth-${producerId}.ndjson`
}

export function encodeEpisode(e: Episode): string {
  return JSON.stringify({
    episode_id: e.episodeId,
    sensor_id: e.sensorId,
    kind: e.kind,
    size_sigma: e.sizeSigma,
    started_at: formatMicros(e.startedAt),
    ended_at: formatMicros(e.endedAt),
    description: e.description,
  })
}

const time = z.string().transform(parseMicros).pipe(z.number())
const line = z.object({
  episode_id: z.string(),
  sensor_id: z.string(),
  kind: z.enum(FAULT_KINDS),
  size_sigma: z.number().nullable(),
  started_at: time,
  ended_at: time,
  description: z.string(),
})

/** The episodes of a truth file, each once; none where there is no file. Throws on a line that is no episode. */
export function readTruth(file: string): Episode[] {
  if (!existsSync(file)) return []
  const lines = readFileSync(file, 'utf8').split('\n')
  const complete = lines.slice(0, -1) // what follows the last line break was cut off by a kill
  const episodes = new Map<string, Episode>()
  complete.forEach((text, i) => {
    const parsed = line.safeParse(parseJson(text))
    if (!parsed.success)
      throw new Error(`Cannot read ${file}: line ${i + 1} is no episode: got ${text.slice(0, 200)}`)
    const e = parsed.data
    episodes.set(e.episode_id, {
      episodeId: e.episode_id,
      sensorId: e.sensor_id,
      kind: e.kind,
      sizeSigma: e.size_sigma,
      startedAt: e.started_at,
      endedAt: e.ended_at,
      description: e.description,
    })
  })
  return [...episodes.values()]
}

function lastLineEnd(bytes: Buffer): number {
  return bytes.lastIndexOf('\n') + 1
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
