import { touchAlive } from '../alive.ts'
import { ask, createDatabase } from '../db/connect.ts'
import type { Episode } from '../fleet/episodes.ts'
import { log } from '../log.ts'
import { rest } from '../run.ts'
import type { Refusal } from '../spool/spool.ts'
import {
  writeDeadLetter,
  writeEpisodes,
  writeEvents,
  writeHealth,
  type ProducerReport,
  type ProducerStatus,
  type SystemEvent,
} from './health.ts'

/**
 * Tells PostgreSQL about once a second how the producer is, and what happened. Best effort: PostgreSQL away never holds up a
 * reading; what happened meanwhile is told when it is back, dead letters for certain (the spool keeps them).
 */
export interface Reporter {
  event(event: SystemEvent): void
  episode(episode: Episode): void
  /** the last word; no more than a few seconds */
  close(status: ProducerStatus): Promise<void>
}

export interface ReporterOptions {
  databaseUrl: string
  /** touched at each beat while the producer accepts readings */
  aliveFile?: string
  producerId: string
  runId: string
  /** how it is now; perSecond is filled in here */
  report: () => Omit<ProducerReport, 'perSecond'>
  clusterId: () => string | null
  refusals: (limit: number) => Refusal[]
  forgetRefusals: (refusals: readonly Refusal[]) => void
}

const BEAT_MS = 1000
const ANSWER_MS = 4000 // a health report is old after this anyway
const WINDOW_MS = 10_000 // over which the rate is told
const MAX_WAITING = 10_000 // events and episodes kept while PostgreSQL is away; then the oldest go
const ROWS_A_BEAT = 200 // of each kind, so that a beat stays within its time

export function startReporter(options: ReporterOptions): Reporter {
  const { producerId, runId } = options
  const database = createDatabase(options.databaseUrl, { name: producerId, role: 'producer', max: 1 })
  const stop = new AbortController()
  const events: SystemEvent[] = []
  const episodes: Episode[] = []
  const rate = createRate(WINDOW_MS)
  let told = true
  const loop = beats()

  async function beats(): Promise<void> {
    while (!stop.signal.aborted) {
      await beat()
      await rest(BEAT_MS, stop.signal)
    }
  }

  async function beat(status?: ProducerStatus): Promise<void> {
    const report = options.report()
    if (report.status === 'active') touchAlive(options.aliveFile)
    const perSecond = rate(report.sent, performance.now())
    try {
      await ask('report', tell({ ...report, perSecond, status: status ?? report.status }), ANSWER_MS)
      if (!told) log.info('health.written_again')
      told = true
    } catch (error) {
      if (told) log.warn('health.not_written', { error })
      told = false
      database.renewAfter(error)
    }
  }

  /** Each is taken off its list only when PostgreSQL has it. */
  async function tell(report: ProducerReport): Promise<void> {
    const { sql } = database
    await writeHealth(sql, report)
    const newEvents = events.slice(0, ROWS_A_BEAT)
    if (newEvents.length > 0) await writeEvents(sql, producerId, newEvents)
    events.splice(0, newEvents.length)
    const newEpisodes = episodes.slice(0, ROWS_A_BEAT)
    if (newEpisodes.length > 0) await writeEpisodes(sql, producerId, newEpisodes)
    episodes.splice(0, newEpisodes.length)
    const refusals = options.refusals(ROWS_A_BEAT)
    const who = { producerId, runId, clusterId: options.clusterId() }
    for (const refusal of refusals) await writeDeadLetter(sql, who, refusal)
    if (refusals.length > 0) options.forgetRefusals(refusals)
  }

  return {
    event: (event) => keep(events, event),
    episode: (episode) => keep(episodes, episode),
    async close(status) {
      if (stop.signal.aborted) return
      stop.abort()
      await loop
      await beat(status)
      await database.close()
    },
  }
}

function keep<T>(list: T[], item: T): void {
  list.push(item)
  if (list.length > MAX_WAITING) list.shift()
}

/** Calls with a count that only rises → its growth a second over the window. */
export function createRate(windowMs: number): (count: number, nowMs: number) => number {
  const samples: { count: number; at: number }[] = []
  return (count, nowMs) => {
    samples.push({ count, at: nowMs })
    while (samples.length > 2 && nowMs - (samples[1]?.at ?? nowMs) >= windowMs) samples.shift()
    const first = samples[0] ?? { count, at: nowMs }
    const ms = nowMs - first.at
    return ms > 0 ? ((count - first.count) / ms) * 1000 : 0
  }
}
