/**
 * What the judge knows of a run: taken from outside, by its own readers, and never through the code that it judges. A
 * list is null where that source was not recorded: invariants that need it are then "not applicable", never "held".
 */
export interface Evidence {
  /** what the producers' spools said they had accepted, copied while the run went on */
  accepted: AcceptedRun[] | null
  /** every send of the producers as the client library saw it */
  sends: Send[] | null
  faults: Fault[]
  /** positions in PostgreSQL, asked again and again */
  positions: Position[] | null
  answers: Answer[] | null
  processes: ProcessSample[] | null
  /** every message of the topics of readings, by topic and partition, in the order of the log */
  log: LogMessage[]
  ends: { topic: string; partition: number; low: number; high: number }[]
  alerts: AlertMessage[]
  tables: Tables
  /** texts in which nothing secret may stand: name → whole text */
  texts: Map<string, string>
  secrets: string[]
}

/** Numbers from `first` on, one print a reading. */
export interface AcceptedRun {
  run: string
  sensor: string
  first: number
  prints: bigint[]
  /** null: accepted and to be stored */
  given_up: 'dropped' | 'rejected' | 'spooled' | null
}

export interface Send {
  at: number
  outcome: 'acked' | 'failed' | 'open'
  topic: string
  /** as asked for: partition, and key and number of each message */
  messages: { partition: number; key: string; seq: number | null }[]
  /** as answered */
  answer: { partition: number; base: number }[]
}

/** A fault as the one who injected it tells: `target` is a consumer's or producer's id, or the name of a server. */
export interface Fault {
  at: number
  ended: number | null
  kind: string
  target: string
}

export interface Position {
  at: number
  topic: string
  partition: number
  next: number
  epoch: number
  owner: string
}

/** An answer of the monitor's API; status 0: none came. */
export interface Answer {
  at: number
  ms: number
  path: string
  status: number
  /** age of the data behind each section that calls itself ok, in seconds, by the answer's own clock */
  ages: Record<string, number>
  consumers: { id: string; status: string }[]
}

export interface ProcessSample {
  at: number
  name: string
  pid: number
  rssBytes: number
  fds: number
}

export interface LogMessage {
  topic: string
  partition: number
  offset: number
  appendedAtMs: number
  key: string | null
  run: string | null
  seq: number | null
  content: Content
}

/** good: what it says · bad: no reading by any reading of the contract · unclear: the contract leaves room */
export type Content = { is: 'good'; reading: Said; print: bigint } | { is: 'bad' | 'unclear'; why: string }

/** A reading as the wire says it. Time in microseconds since 1970. */
export interface Said {
  sensor: string
  type: string
  unit: string
  section: string
  machine: string
  zone: string
  at: number
  value: number
  quality: number
  history: boolean
}

export interface AlertMessage {
  id: string
  state: string
  sensor: string
  offset: number
  partition: number
}

export interface Tables {
  rows: Row[]
  letters: {
    topic: string
    partition: number | null
    offset: number | null
    reason: string
    run: string | null
    sensor: string | null
    seq: number | null
  }[]
  alarms: Alarm[]
  progress: Progress[]
  gaps: number
  unsent: number
  rebalances: { at: number; consumer: string; type: string; assigned: string[] }[]
  books: { version: number; rules: Rule[] }[]
  activations: { topic: string; partition: number; version: number; from: number }[]
}

export interface Row {
  topic: string
  partition: number
  offset: number
  run: string | null
  sensor: string
  seq: number | null
  print: bigint
}

export interface Alarm {
  id: string
  rule: string
  sensor: string
  topic: string
  partition: number
  offset: number
  clearedOffset: number | null
}

export interface Progress {
  topic: string
  partition: number
  next: number
  owner: string
  stopped: string | null
  stored: number
  dead_lettered: number
  repeated: number
  conflicting: number
  missing: number
  filled: number
}

/** A rule of a book, as written there; only what the reference needs. */
export interface Rule {
  id: string
  kind: string
  enabled?: boolean
  applies?: { topics?: string[]; sensor_types?: string[]; sensor_ids?: string[]; machine_ids?: string[] }
  side?: 'high' | 'low'
  limit?: number
  exclusive?: boolean
  deadband?: number
  on_delay?: unknown
  off_delay?: unknown
  yields_to?: string[]
}
