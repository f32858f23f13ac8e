import { equipment } from '../detect/equipment.ts'
import { ask, type Database, type Transaction } from '../db/connect.ts'
import { rollUp } from '../db/roll-up.ts'
import { DEVICE_SECTION } from '../device.ts'
import { log } from '../log.ts'
import { rest } from '../run.ts'
import type { Micros } from '../time.ts'
import type { Books } from './books.ts'
import {
  clearMachine,
  conditionOf,
  contributions,
  judgeMinutes,
  MINUTE,
  MINUTES_BEFORE,
  withMinutesBefore,
  type Judgement,
  type Machine,
  type Minute,
} from './machine.ts'
import type { RuleOf } from './rulebook.ts'
import type { Rules } from './rules.ts'
import { tellAlarms } from './transitions.ts'

/**
 * Watches machines as a whole. The sensors of a machine lie in different partitions, which different consumers own; the
 * place that has all of them, once and in order of time, is the roll-up of minutes. So the watch reads minutes that are
 * complete, carries the detector's state in the machine's own row, and writes state, alarm, journal and outbox in one
 * transaction. Every consumer looks; the row's lock and `next_minute` give each minute to one of them.
 *
 * A minute is complete when the roll-ups have passed it, and so has every partition that was read in the last five minutes:
 * while the consumers lag behind, the watch waits.
 */
export interface MachineWatchOptions {
  database: Pick<Database, 'sql'>
  books: Pick<Books, 'latest'>
  consumerId: string
  alertTopic: string
}

const EVERY_MS = 10_000
const BACKOFF_MS = 15_000
/** minutes of one machine in one transaction: half a day, some 50 ms */
const STRETCH = 720
/** of roll-ups that lie behind: a day in one round */
const MOST_STEPS = 300
/** for readings that wait in a spool or a batch */
const PATIENCE = '15 seconds'

export async function runMachineWatch(options: MachineWatchOptions, signal: AbortSignal): Promise<void> {
  let judged: Micros | null = null
  while (!signal.aborted) {
    const failed = await watchMachines(options, signal, judged).then(
      (look) => {
        judged = look.judged
        return null
      },
      (error: Error) => error,
    )
    if (failed && !signal.aborted) log.warn('machines.not_watched', { error: failed })
    await rest(failed ? BACKOFF_MS : EVERY_MS, signal)
  }
}

export interface Look {
  /** alarms raised and cleared */
  told: number
  /** the end of the last minute after which nothing was left to judge; null: not known */
  judged: Micros | null
}

/**
 * Judges every complete minute that nobody has judged. Those before `judged` are not asked for again; if another consumer
 * dies while it is at one of them, that minute is judged along with the next.
 */
export async function watchMachines(
  options: MachineWatchOptions,
  signal?: AbortSignal,
  judged: Micros | null = null,
): Promise<Look> {
  const { database, books } = options
  const rules = books.latest()
  if (rules.version === 0) return { told: 0, judged }
  const ready = await completeUpTo(database)
  if (ready === null || ready === judged) return { told: 0, judged }
  await meetMachines(database, ready)
  let told = 0
  while (!signal?.aborted) {
    const one = await judgeOne(options, rules, ready)
    if (one === null) return { told, judged: ready }
    told += one.raised.length + one.cleared.length
  }
  return { told, judged: null }
}

/** The end of the last complete minute. */
async function completeUpTo({ sql }: Pick<Database, 'sql'>): Promise<Micros | null> {
  for (let step = 0; step < MOST_STEPS; step++) {
    if (!(await rollUp(sql))) break
  }
  const [row] = await ask(
    'ask which minutes are complete',
    sql<{ ready_us: number | null }[]>`
      select (extract(epoch from date_trunc('minute', least(rolled_up_to - ${PATIENCE}::interval,
        (select min(newest_measured_at) from partition_progress
          where updated_at > now() - interval '5 minutes' and newest_measured_at > now() - interval '1 day')))) * 1e6)::float8
        as ready_us
      from rollup_progress where isfinite(rolled_up_to)`,
  )
  return row?.ready_us ?? null
}

/** Machines are what sensors name; one sensor alone is no machine. What was measured in the last day is looked at, too. */
async function meetMachines({ sql }: Pick<Database, 'sql'>, ready: Micros): Promise<void> {
  await ask(
    'meet new machines',
    sql`
      insert into machines (factory_section, machine_id, next_minute)
      select factory_section, machine_id, greatest(date_trunc('minute', min(first_seen_at)),
        timestamptz 'epoch' + ${ready} * interval '1 microsecond' - interval '1 day')
      from sensors s where machine_id <> '' and factory_section <> ${DEVICE_SECTION}
        and not exists (select from machines m where m.factory_section = s.factory_section and m.machine_id = s.machine_id)
      group by 1, 2 having count(distinct sensor_id) > 1
      on conflict do nothing`,
  )
}

interface Row {
  factory_section: string
  machine_id: string
  channels: string[]
  next_us: number
  state: Uint8Array | null
  state_version: number
  commissioning: number | null
  score: number
  peak_score: number | null
  alert_id: string | null
  alert_rule: string | null
  alert_version: number | null
  severity: string | null
  anomaly_type: string | null
}

/** The next machine with unjudged minutes, in one transaction; null: there is none. */
async function judgeOne(
  options: MachineWatchOptions,
  rules: Rules,
  ready: Micros,
): Promise<Judgement | null> {
  return ask(
    'judge the minutes of a machine',
    options.database.sql.begin(async (tx) => {
      const [row] = await tx<Row[]>`
        select m.factory_section, m.machine_id, m.channels, m.state, m.state_version, m.commissioning, m.score, m.peak_score,
          (extract(epoch from m.next_minute) * 1e6)::float8 as next_us, a.alert_id, a.rule_id as alert_rule,
          a.rule_version as alert_version, a.severity, a.anomaly_type
        from machines m left join alerts a on a.alert_id = m.alert_id
        where m.next_minute < timestamptz 'epoch' + ${ready} * interval '1 microsecond'
        order by m.next_minute limit 1 for update of m skip locked`
      if (!row) return null
      const rule = rules.ofMachine(row.machine_id)
      const machine = machineOf(row, rule)
      const to = Math.min(ready, row.next_us + STRETCH * MINUTE)
      let told: Judgement = { raised: [], cleared: [] }
      if (rule) {
        const minutes = await minutesOf(tx, machine, rule, row.next_us, to)
        told = judgeMinutes(machine, minutes, rule, rules.version, options.consumerId)
        for (const [i, raised] of told.raised.entries()) {
          const at = raised.offset * MINUTE
          const before = await minutesOf(tx, machine, rule, at - MINUTES_BEFORE * MINUTE, at)
          told.raised[i] = withMinutesBefore(raised, before)
        }
      } else if (machine.open) {
        const gone = `: rule ${machine.open.ruleId} is no longer in force (rule book ${rules.version})`
        told.cleared.push(clearMachine(machine, to, options.consumerId, gone))
        machine.open = null
      }
      await write(tx, machine, rule, to)
      await tellAlarms(tx, told.raised, told.cleared, options.alertTopic, rules.book.groups)
      return told
    }) as Promise<Judgement | null>,
  )
}

function machineOf(row: Row, rule: RuleOf<'equipment'> | null): Machine {
  const detector = equipment(row.channels.length)
  const known = row.state && detector.decode(Uint8Array.from(row.state), row.state_version)
  if (row.state && !known)
    log.warn('machine.relearns', {
      machine: row.machine_id,
      version: row.state_version,
      now: detector.version,
    })
  const fresh = !known
  return {
    factorySection: row.factory_section,
    machineId: row.machine_id,
    channels: row.channels,
    state: known ?? detector.create(),
    commissioning: (fresh ? null : row.commissioning) ?? rule?.commissioning ?? 0,
    open:
      row.alert_id === null
        ? null
        : {
            alertId: row.alert_id,
            ruleId: row.alert_rule ?? '',
            ruleVersion: row.alert_version ?? 0,
            severity: row.severity ?? 'high',
            anomalyType: row.anomaly_type ?? '',
          },
    peak: row.peak_score ?? 0,
    score: row.score,
  }
}

async function minutesOf(
  tx: Transaction,
  machine: Machine,
  { applies }: RuleOf<'equipment'>,
  from: Micros,
  to: Micros,
): Promise<Minute[]> {
  const types = applies.sensor_types ? JSON.stringify(applies.sensor_types) : null
  const rows = await tx<{ at: number; sensor_id: string; mean: number }[]>`
    select (extract(epoch from r.bucket) * 1e6)::float8 as at, s.sensor_id, sum(r.total) / sum(r.readings) as mean
    from sensors s join readings_1m r on r.sensor_key = s.sensor_key
    where s.machine_id = ${machine.machineId} and s.factory_section = ${machine.factorySection}
      and (${types}::text is null or (${types}::text::jsonb) ? s.sensor_type)
      and r.bucket >= timestamptz 'epoch' + ${from} * interval '1 microsecond'
      and r.bucket < timestamptz 'epoch' + ${to} * interval '1 microsecond'
    group by 1, 2 order by 1, 2`
  const minutes = Map.groupBy(rows, (row) => row.at)
  return [...minutes].map(([at, of]) => ({ at, means: new Map(of.map((row) => [row.sensor_id, row.mean])) }))
}

async function write(
  tx: Transaction,
  machine: Machine,
  rule: RuleOf<'equipment'> | null,
  next: Micros,
): Promise<void> {
  const detector = equipment(machine.channels.length)
  await tx`
    update machines set channels = ${JSON.stringify(machine.channels)}::text::jsonb, state = ${Buffer.from(detector.encode(machine.state))},
      state_version = ${detector.version}, commissioning = ${machine.commissioning || null},
      next_minute = timestamptz 'epoch' + ${next} * interval '1 microsecond',
      baseline_since = coalesce(baseline_since, next_minute),
      condition = ${rule ? conditionOf(machine, rule) : 'normal'}, score = ${machine.score}, peak_score = ${machine.peak},
      contributions = ${JSON.stringify(rule ? contributions(machine, rule) : [])}::text::jsonb,
      alert_id = ${machine.open?.alertId ?? null}, rule_id = ${rule?.id ?? null}, updated_at = now()
    where factory_section = ${machine.factorySection} and machine_id = ${machine.machineId}`
}
