import { expect, test } from 'bun:test'
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Episode } from '../../lib/fleet/episodes.ts'
import { appendTruth, encodeEpisode, readTruth, truthFile } from '../../lib/fleet/truth.ts'
import { parseMicros } from '../../lib/time.ts'

const EPISODE: Episode = {
  episodeId: 'temp-sensor-001:2025-09-15T00:00:01.000002Z',
  sensorId: 'temp-sensor-001',
  kind: 'level_shift',
  sizeSigma: -3,
  startedAt: parseMicros('2025-09-15T00:00:01.000002Z'),
  endedAt: parseMicros('2025-09-15T00:01:00Z'),
  description: 'level off by -3 σ (-1.20 °C), 20 readings',
}

test('encodeEpisode() writes the fields that the table has', () => {
  expect(encodeEpisode(EPISODE)).toBe(
    '{"episode_id":"temp-sensor-001:2025-09-15T00:00:01.000002Z","sensor_id":"temp-sensor-001","kind":"level_shift","size_sigma":-3,' +
      '"started_at":"2025-09-15T00:00:01.000002Z","ended_at":"2025-09-15T00:01:00.000000Z","description":"level off by -3 σ (-1.20 °C), 20 readings"}',
  )
})

test('a truth file gives each episode once, however often it was told, and bears a line cut off by a kill', () => {
  const dir = mkdtempSync(join(tmpdir(), 'truth-'))
  try {
    const file = truthFile(join(dir, 'spool'), 'plant')
    expect(readTruth(file)).toEqual([])
    const tell = appendTruth(file)
    const stuck: Episode = { ...EPISODE, episodeId: 'other', kind: 'stuck', sizeSigma: null }
    for (const episode of [EPISODE, stuck, EPISODE]) tell(episode)
    appendFileSync(file, '{"episode_id":"cut o')
    expect(readTruth(file)).toEqual([EPISODE, stuck])
    appendTruth(file)(stuck) // what was cut off is gone
    expect(readTruth(file)).toEqual([EPISODE, stuck])
    appendFileSync(file, '{"episode_id":"no more"}\n')
    expect(() => readTruth(file)).toThrow('line 5 is no episode: got {"episode_id":"no more"}')
  } finally {
    rmSync(dir, { recursive: true })
  }
})
