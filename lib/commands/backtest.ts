import { bookOfFile, listBooks } from '../alarm/books.ts'
import { parseBook, type RuleBook } from '../alarm/rulebook.ts'
import { createRules } from '../alarm/rules.ts'
import { parseConfig } from '../config.ts'
import { ask, closeSql, connect, type Sql } from '../db/connect.ts'
import { PRODUCER_RULE } from '../alarm/caretaker.ts'
import { NOT_LIVE } from '../ingest/flags.ts'
import { readHindsight } from '../ingest/hindsight.ts'
import { rehearse, type Suspicion, type Told } from '../ingest/offline.ts'
import { isHeld } from '../ingest/overdue.ts'
import type { Reading } from '../reading.ts'
import { EXIT, Stop } from '../run.ts'
import { formatMicros, type Micros } from '../time.ts'
import { command, positiveFlag } from './command.ts'

const HELP = `bun run backtest: what a rule book would have raised on stored readings, beside what was raised.

  --rules FILE     the book to try (YAML or JSON; $NAME is a variable of .env); without it the one in force
  --hours N        how far back (default 24)
  --sensor ID      only this sensor
  --list           every alarm, not just the counts
  --json

Detectors begin without memory at the first reading looked at: the first hour of learning rules is their learning. Silence is
asked for every second, as the consumers do, and held back as it was then: while a partition had just been taken over, and
while it lagged, and while the producer was known to be down. Alarms of whole machines and of producers are not tried:
they are not made of single readings ("would" is null, or –).
exit 0 · 2 usage · 69 PostgreSQL is not there · 78 the book has faults`

const PAGE = 5000
const SECOND = 1e6

await command({
  help: HELP,
  options: {
    rules: { type: 'string' },
    hours: { type: 'string' },
    sensor: { type: 'string' },
    list: { type: 'boolean' },
    json: { type: 'boolean' },
  },
  async main(values) {
    const config = parseConfig()
    const hours = positiveFlag('hours', values.hours) ?? 24
    const sensor = typeof values.sensor === 'string' ? values.sensor : null
    const sql = connect(config.DATABASE_URL, {
      name: 'backtest',
      role: 'monitor',
      max: 1,
      statementTimeoutMs: 60_000,
    })
    try {
      const book =
        typeof values.rules === 'string'
          ? parseBook(bookOfFile({ ...config, RULES_FILE: values.rules }), values.rules)
          : await inForce(sql)
      const tried = await tryOn(sql, book, hours, sensor)
      const was = await raisedThen(sql, hours, sensor)
      const rules = compare(was, tried.told)
      if (values.json)
        console.log(
          JSON.stringify({ hours, readings: tried.readings, rules, would: tried.told.map(shown) }, null, 2),
        )
      else print(rules, tried.readings, hours, values.list ? tried.told : [])
    } catch (cause) {
      if (cause instanceof Stop) throw cause
      const seen = cause instanceof Error ? cause.message : String(cause)
      throw new Stop(`Cannot read the stored readings: ${seen}`, EXIT.unavailable, { cause })
    } finally {
      await closeSql(sql)
    }
  },
})

async function inForce(sql: Sql): Promise<RuleBook> {
  const [row] = await listBooks(sql, 1)
  if (!row)
    throw new Stop(
      'Cannot try the rule book in force: there is none yet: name one (--rules FILE)',
      EXIT.usage,
    )
  return parseBook(row.book, `version ${row.version}`)
}

interface StoredReading {
  sensor_id: string
  sensor_type: string
  unit: string
  factory_section: string
  machine_id: string
  zone: string
  at: Micros
  received: Micros
  value: number
  quality: number
  topic: string
  partition: number
  run_id: string | null
}

async function tryOn(
  sql: Sql,
  book: RuleBook,
  hours: number,
  sensor: string | null,
): Promise<{ told: Told[]; readings: number }> {
  const rules = createRules(1, book)
  const past = await readHindsight(sql, hours, PRODUCER_RULE)
  const topics = new Map<string, ReturnType<typeof rehearse>>()
  let readings = 0
  /** the wall clock of then, and when the next batch comes */
  let clock = Infinity
  let next = Infinity
  const passUntil = (until: Micros) => {
    next = until
    for (; clock + SECOND <= until; clock += SECOND) for (const one of topics.values()) one.passed(clock)
  }
  /** the consumer's own reasons to call nobody silent, as of then */
  const heldIn = (topic: string) => (s: Suspicion, now: Micros) =>
    past.claimedNext(topic, s.partition, now) <= next || // nobody was there to listen
    now < past.claimedAt(topic, s.partition, now) + s.settle ||
    past.hasLagged(topic, s.partition, now) ||
    isHeld(s, s.runId === null ? undefined : past.producer(s.runId, now), now)
  const rows = sql<StoredReading[]>`
    select s.sensor_id, s.sensor_type, s.unit, s.factory_section, s.machine_id, s.zone,
      extract(epoch from r.measured_at)::float8 * 1e6 as at,
      extract(epoch from r.received_at)::float8 * 1e6 as received, r.value, r.quality::float8 as quality, t.topic,
      r.partition, u.run_id
    from readings r join sensors s using (sensor_key) join topics t using (topic_key) left join runs u using (run_key)
    where r.received_at > now() - ${`${hours} hours`}::interval and r.flags & ${NOT_LIVE}::int = 0
      and (${sensor}::text is null or s.sensor_id = ${sensor})
    order by r.received_at, r.partition, r."offset"`
  for await (const page of rows.cursor(PAGE))
    for (const row of page) {
      let rehearsal = topics.get(row.topic)
      if (!rehearsal) topics.set(row.topic, (rehearsal = rehearse(rules, row.topic, heldIn(row.topic))))
      clock = Math.min(clock, row.received)
      passUntil(row.received)
      rehearsal.take(readingOf(row), { partition: row.partition, runId: row.run_id })
      readings++
    }
  passUntil(past.listenedUntil)
  const told = [...topics.values()].flatMap((r) => r.told()).sort((a, b) => a.at - b.at)
  return { told, readings }
}

function readingOf(row: StoredReading): Reading {
  return {
    sensorId: row.sensor_id,
    sensorType: row.sensor_type,
    unit: row.unit,
    location: { factorySection: row.factory_section, machineId: row.machine_id, zone: row.zone },
    measuredAt: Math.round(row.at),
    value: row.value,
    quality: row.quality,
    claimedLevel: null,
    warningThreshold: null,
    criticalThreshold: null,
    metadata: null,
  }
}

interface Raised {
  rule_id: string
  raised: number
  /** of no single sensor: no reading is put before it */
  untried: boolean
}

async function raisedThen(sql: Sql, hours: number, sensor: string | null): Promise<Raised[]> {
  return ask(
    'read what was raised',
    sql<Raised[]>`
      select rule_id, count(*)::int as raised, bool_and(sensor_type in ('machine', 'producer')) as untried from alerts
      where "timestamp" > now() - ${`${hours} hours`}::interval and (${sensor}::text is null or sensor_id = ${sensor})
      group by 1`,
  )
}

interface Compared {
  rule: string
  was: number
  /** null: not tried */
  would: number | null
}

function compare(was: readonly Raised[], told: readonly Told[]): Compared[] {
  const would = Map.groupBy(told, (t) => t.ruleId)
  const ids = new Set([...was.map((w) => w.rule_id), ...would.keys()])
  return [...ids].sort().map((rule) => {
    const then = was.find((w) => w.rule_id === rule)
    const tried = would.get(rule)?.length
    return { rule, was: then?.raised ?? 0, would: tried ?? (then?.untried ? null : 0) }
  })
}

function shown(t: Told) {
  return {
    at: formatMicros(Math.round(t.at)),
    cleared_at: t.clearedAt === null ? null : formatMicros(Math.round(t.clearedAt)),
    sensor_id: t.sensorId,
    rule: t.ruleId,
    description: t.description,
  }
}

function print(rules: readonly Compared[], readings: number, hours: number, list: readonly Told[]): void {
  for (const t of list) console.log(`${shown(t).at}  ${t.ruleId.padEnd(26)} ${t.description}`)
  console.log(`${readings} readings of the last ${hours} h`)
  console.log(`${'rule'.padEnd(28)} ${'was raised'.padStart(10)} ${'would be'.padStart(10)}`)
  for (const { rule, was, would } of rules)
    console.log(`${rule.padEnd(28)} ${String(was).padStart(10)} ${String(would ?? '–').padStart(10)}`)
}
