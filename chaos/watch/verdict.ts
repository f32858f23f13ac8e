import { appendFileSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { readHappenings, readSamples, storedIn, sumOf, type Happening, type Sample } from './sample.ts'

/**
 * `bun chaos/watch/verdict.ts RUN RUNS.jsonl`: sums a run up, appends its record to RUNS.jsonl, prints the one line of
 * the verdict. What the script knows comes in its environment (chaos/lib.sh). exit 0 where it passed, else 1.
 */
export interface Facts {
  fault: string
  /** what its own options said: transaction, follower …; empty for the usual way */
  variant: string
  target: 'local' | 'compose'
  commit: string
  seed: number
  rate: number
  /** seconds in which all must be green, once what was struck is there again */
  bound: number
  /** null: it was never green again within the bound */
  recovery: number | null
  /** what did not hold, in words */
  faults: string[]
  /** figures of the whole run that have a limit */
  limits: { figure: string; most: number }[]
  /** the report of bun run verify; null where it gave none */
  verify: { accepted: number; stored: number; lost: number; duplicated: number; phantom: number } | null
}

export interface RunRecord extends Facts {
  id: string
  started: string
  seconds: number
  strikes: number
  /** of this run: from calm to the end */
  accepted: number
  acked: number
  stored: number
  repeated: number
  /** the longest time without a new acknowledgement, and without a new stored reading, from the strike until the judge was asked */
  ackStall: number
  storeStall: number
  /** seconds that the healing itself took: a Kafka node starts, recovers its log and serves */
  healing: number
  /** seconds from the strike until each effect was seen */
  effects: { what: string; after: number }[]
  spoolPeak: number
  memoryPeak: number
  passed: boolean
}

if (import.meta.main) {
  const [run = '.', file = 'runs.jsonl'] = process.argv.slice(2)
  const record = sumUp(run, factsOf(process.env), readSamples(run), readHappenings(run))
  mkdirSync(dirname(file), { recursive: true })
  appendFileSync(file, `${JSON.stringify(record)}\n`)
  console.log(verdictLine(record))
  process.exit(record.passed ? 0 : 1)
}

function factsOf(env: Record<string, string | undefined>): Facts {
  return {
    fault: env.FAULT ?? '',
    variant: env.VARIANT ?? '',
    target: env.TARGET === 'compose' ? 'compose' : 'local',
    commit: env.COMMIT ?? '',
    seed: Number(env.SEED),
    rate: Number(env.RATE),
    bound: Number(env.BOUND),
    recovery: env.RECOVERY ? Number(env.RECOVERY) : null,
    faults: (env.FAULTS ?? '').split('\n').filter((line) => line !== ''),
    limits: (env.LIMITS ?? '').split('\n').flatMap((line) => {
      const [figure = '', most = ''] = line.split(' ')
      return figure === '' ? [] : [{ figure, most: Number(most) }]
    }),
    verify: env.LEDGER ? (JSON.parse(env.LEDGER) as Facts['verify']) : null,
  }
}

export function sumUp(run: string, facts: Facts, all: Sample[], happenings: Happening[]): RunRecord {
  const calm = happenings.find((one) => one.event === 'calm')?.t ?? all[0]?.t ?? 0
  const samples = all.filter((one) => one.t >= calm)
  const strike = happenings.find((one) => one.event === 'strike')?.t ?? null
  // the load ends before the ledger is asked: where nothing else flows, that is no stall
  const judge = happenings.find((one) => one.event === 'judge')?.t ?? Infinity
  const struck = samples.filter((one) => strike !== null && one.t >= strike && one.t <= judge)
  const [first, last] = [samples[0], samples.at(-1)]
  const timeOf = (event: string) =>
    happenings.find((one) => one.event === event && one.by === facts.fault)?.t ?? 0
  const grew = (value: (one: Sample) => number) => (first && last ? value(last) - value(first) : 0)
  const ackStall = longestStall(struck, (one) => sumOf(one, 'sent'))
  const storeStall = longestStall(struck, storedIn)
  const memoryPeak = Math.max(0, ...samples.flatMap((one) => programs(one.memory)))
  const figures: Record<string, number> = {
    'ack-stall': ackStall,
    'store-stall': storeStall,
    memory: memoryPeak,
  }
  const over = facts.limits
    .filter(({ figure, most }) => !((figures[figure] ?? Infinity) <= most))
    .map(({ figure, most }) => `${figure} ${figures[figure]}, at most ${most}`)
  const faults = [...facts.faults, ...over]
  const clean =
    facts.verify !== null && facts.verify.lost + facts.verify.duplicated + facts.verify.phantom === 0
  return {
    id: run.split('/').at(-1) ?? run,
    started: new Date(calm).toISOString(),
    ...facts,
    faults,
    seconds: first && last ? Math.round((last.t - first.t) / 1000) : 0,
    strikes: happenings.filter((one) => one.event === 'strike').length,
    accepted: grew((one) => sumOf(one, 'accepted')),
    acked: grew((one) => sumOf(one, 'sent')),
    stored: grew(storedIn),
    repeated: grew((one) => one.database?.partitions.reduce((sum, p) => sum + p.repeated, 0) ?? 0),
    ackStall,
    storeStall,
    healing: round((timeOf('healed') - timeOf('heal')) / 1000),
    effects: happenings
      .filter((one) => one.event === 'effect')
      .map((one) => ({ what: one.what, after: strike === null ? 0 : round((one.t - strike) / 1000) })),
    spoolPeak: Math.max(0, ...samples.map((one) => sumOf(one, 'spooled'))),
    memoryPeak,
    passed: clean && faults.length === 0 && facts.recovery !== null,
  }
}

/** MiB of our own programs; Kafka and PostgreSQL have their own limits. */
function programs(memory: Sample['memory']): number[] {
  return Object.entries(memory).flatMap(([name, mib]) => (/^(kafka\d|postgres)$/.test(name) ? [] : [mib]))
}

/** Seconds of the longest stretch in which a count did not grow. */
export function longestStall(samples: readonly Sample[], count: (one: Sample) => number): number {
  let longest = 0
  let grewAt = samples[0]?.t ?? 0
  let before = samples[0] ? count(samples[0]) : 0
  for (const one of samples) {
    const now = count(one)
    if (now > before) {
      longest = Math.max(longest, one.t - grewAt)
      grewAt = one.t
      before = now
    }
  }
  return round(Math.max(longest, (samples.at(-1)?.t ?? grewAt) - grewAt) / 1000)
}

export function verdictLine(r: RunRecord): string {
  const ledger = r.verify
    ? `lost ${r.verify.lost}, doubled ${r.verify.duplicated}, phantom ${r.verify.phantom}`
    : 'no ledger'
  const recovery =
    r.recovery === null ? `not green within ${r.bound} s` : `green after ${r.recovery} s (bound ${r.bound} s)`
  const figures = `${r.accepted} accepted, ${r.acked} acknowledged, ${r.stored} stored; ${ledger}; acks stood ${r.ackStall} s, storing ${r.storeStall} s; ${recovery}`
  const why = r.faults.length > 0 ? `; ${r.faults.join('; ')}` : ''
  return `${r.passed ? 'PASS' : 'FAIL'} ${r.fault}: ${figures}${why}`
}

function round(seconds: number): number {
  return Math.round(seconds * 10) / 10
}
