import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * What an observer outside the system saw at one moment; a section keeps its last good answer and says how old that is.
 * One JSON line each in RUN/samples.jsonl. What a script does to the system is in RUN/events.jsonl beside it.
 */
export interface Sample {
  /** milliseconds since 1970 */
  t: number
  /** from the spools' own files, so that it can be told while Kafka and PostgreSQL are away */
  spool: Record<string, { accepted: number; sent: number; spooled: number }>
  /** topic of the readings, as Kafka tells it; null before the first answer */
  kafka: {
    at: number
    tookMs: number
    /** by partition */
    isr: number[][]
    leader: number[]
    high: number[]
    /** client ids in the consumer group */
    members: string[]
    brokers: number[]
  } | null
  /** as PostgreSQL tells it; null before the first answer */
  database: {
    at: number
    tookMs: number
    partitions: {
      partition: number
      owner: string
      next: number
      epoch: number
      stored: number
      dead: number
      repeated: number
      stopped: boolean
    }[]
    backends: number[]
    /** alarms raised since the observer came */
    alarms: number
    /** dead letters of other topics than the factory's */
    deadElsewhere: number
    /** readings stored since then whose time cannot be right; −1 where nobody asked */
    wrongTimes: number
  } | null
  /** does its port take a connection? */
  ports: Record<string, boolean>
  /** the monitor: status of /readyz, 0 for no answer */
  api: number
  /** resident MiB of each part, where it can be seen */
  memory: Record<string, number>
}

export interface Happening {
  t: number
  /** calm, strike, effect, heal, recovered, judge … */
  event: string
  /** which script says so: several may be at work at once */
  by: string
  what: string
}

export function readSamples(run: string): Sample[] {
  return readLines<Sample>(join(run, 'samples.jsonl'))
}

export function readHappenings(run: string): Happening[] {
  return readLines<Happening>(join(run, 'events.jsonl'))
}

/** Whole lines only: the last one may still be under way. */
function readLines<T>(file: string): T[] {
  if (!existsSync(file)) return []
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1)
  return lines.map((line) => JSON.parse(line) as T)
}

export function sumOf(sample: Sample, what: 'accepted' | 'sent' | 'spooled', producer?: string): number {
  const some = producer === undefined ? Object.values(sample.spool) : [sample.spool[producer]]
  return some.reduce((sum, one) => sum + (one?.[what] ?? 0), 0)
}

export function storedIn(sample: Sample): number {
  return sample.database?.partitions.reduce((sum, p) => sum + p.stored, 0) ?? 0
}

/** Messages in the log that are not stored yet; null while one of the two can't be asked. */
export function behindIn(sample: Sample): number | null {
  const { kafka, database } = sample
  if (!kafka || !database) return null
  return kafka.high.reduce(
    (sum, high, partition) =>
      sum + Math.max(0, high - (database.partitions.find((p) => p.partition === partition)?.next ?? 0)),
    0,
  )
}
