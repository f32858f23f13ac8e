import { bookOfFile, listBooks } from '../alarm/books.ts'
import { parseBook, type RuleBook } from '../alarm/rulebook.ts'
import { createRules } from '../alarm/rules.ts'
import { mostFound } from '../alarm/odds.ts'
import { scoreOf, type Score, type Scored, type Truth } from '../alarm/score.ts'
import { parseConfig, type Config } from '../config.ts'
import { ask, closeSql, connect } from '../db/connect.ts'
import type { Episode, FaultPlan } from '../fleet/episodes.ts'
import { createPlant, plantOptions } from '../fleet/plant.ts'
import { rehearse } from '../ingest/offline.ts'
import { EXIT, Stop } from '../run.ts'
import { command, positiveFlag } from './command.ts'

const HELP = `bun run score: alarms against the simulator's own truth.

  (plain)            alarms and injected faults in the database, of the last --hours
  --simulate HOURS   no Kafka, no database: a simulated plant with a fixed table of faults (every kind at every size down
                     to one deviation of the noise) straight through the consumer's detectors
  --seed N           of the simulation; without it one is drawn and printed
  --warm HOURS       for the detectors to learn: simulated before the first fault (default 6); in the database, from a
                     sensor's first reading on, when nothing of it counts (default 0.25)
  --plan mix         the everyday faults of the default plant instead of the table
  --plan none        no fault at all: only the false alarms of a healthy plant
  --hours N          how far back (default 24)
  --json

A fault is found by an alarm of its sensor from its first reading until a minute after its last. recall: over faults of
three deviations and more and those without a size; lasting: without those that are a single reading. What comes later,
but within the fault's own length, is its echo: precision counts it as wrong, false alarms are told without and with it.

at most: what nobody can exceed at two false alarms a day per 100 sensors. One reading three or four deviations off comes by
chance in every sensor every hour; to be that seldom wrong one must ask of a reading for 4.7 to 5 deviations, which a
fault of three reaches one time in 30 and one of four one time in five, by its own noise (lib/alarm/odds.ts).
exit 0 · 1 there is nothing to score · 2 usage · 69 PostgreSQL is not there`

interface Result {
  seed: string | null
  hours: number
  sensors: number
  all: Score
  /** without faults of a single reading */
  lasting: Score
  /** fixed limits alone, on the same readings */
  limits: Score
}

const HOUR = 3600e6
/** the false alarms that are bearable: two a day per 100 sensors */
const BEARABLE_A_DAY = 0.02
/** any moment will do: the simulated plant is a function of it */
const SIMULATED_FROM = 1_790_000_000e6

await command({
  help: HELP,
  options: {
    simulate: { type: 'string' },
    seed: { type: 'string' },
    warm: { type: 'string' },
    plan: { type: 'string' },
    hours: { type: 'string' },
    json: { type: 'boolean' },
  },
  async main(values) {
    const config = parseConfig()
    const hours = positiveFlag('simulate', values.simulate)
    const plan = values.plan === undefined ? 'scoring' : values.plan
    if (plan !== 'scoring' && plan !== 'mix' && plan !== 'none')
      throw new Stop(
        `Cannot read --plan: must be scoring, mix or none: got "${String(values.plan)}"`,
        EXIT.usage,
      )
    const result = hours
      ? simulate(config, hours, {
          seed: String(values.seed ?? Math.floor(Math.random() * 1e9)),
          warm: positiveFlag('warm', values.warm) ?? 6,
          plan,
        })
      : await stored(
          config,
          positiveFlag('hours', values.hours) ?? 24,
          positiveFlag('warm', values.warm) ?? 0.25,
        )
    if (values.json) console.log(JSON.stringify(result, null, 2))
    else print(result)
    if (result.all.faults > 0 || plan === 'none') return EXIT.ok
    process.stderr.write(
      'nothing to score: no fault began while the sensors were watched, --warm after their first reading\n',
    )
    return EXIT.fault
  },
})

function simulate(
  config: Config,
  hours: number,
  { seed, warm, plan }: { seed: string; warm: number; plan: FaultPlan },
): Result {
  process.stderr.write(`seed ${seed}: ${warm} h to learn, then ${hours} h with faults (${plan})\n`)
  const book = parseBook(bookOfFile(config), config.RULES_FILE)
  const faultsFrom = SIMULATED_FROM + warm * HOUR
  const to = faultsFrom + hours * HOUR
  const plant = createPlant({ ...plantOptions(config), seed, faults: plan, faultsFrom })
  const ours = rehearse(createRules(1, book), config.SENSOR_TOPIC)
  const plain = rehearse(createRules(1, limitsOf(book)), config.SENSOR_TOPIC)
  let clock = SIMULATED_FROM
  for (const { reading } of plant.between(SIMULATED_FROM, to)) {
    for (; clock + 1e6 <= reading.measuredAt; clock += 1e6) ours.passed(clock)
    ours.take(reading)
    plain.take(reading)
  }
  const readingsADay = new Map(
    plant.sensors.map(({ plan }) => [plan.sensorId, (24 * HOUR) / plan.intervalMicros]),
  )
  const findable = ({ kind, sizeSigma, startedAt, endedAt, sensorId }: Episode) =>
    kind === 'spike' && startedAt === endedAt
      ? mostFound(sizeSigma ?? 0, BEARABLE_A_DAY, readingsADay.get(sensorId) ?? 1)
      : 1
  const truth = plant.episodes(faultsFrom, to).map((e) => ({
    findable: findable(e),
    sensorId: e.sensorId,
    kind: e.kind,
    size: e.sizeSigma,
    from: e.startedAt,
    to: e.endedAt,
  }))
  const days = (plant.sensors.length * hours) / 24
  const judged = (alarms: readonly Scored[]) => alarms.filter((a) => a.at >= faultsFrom)
  return {
    seed,
    hours,
    sensors: plant.sensors.length,
    ...scores(judged(ours.told()), judged(plain.told()), truth, days),
  }
}

function scores(ours: readonly Scored[], plain: readonly Scored[], truth: readonly Truth[], days: number) {
  return {
    all: scoreOf(ours, truth, days),
    lasting: scoreOf(
      ours,
      truth.map((t) => (t.from === t.to ? { ...t, size: 0 } : t)),
      days,
    ),
    limits: scoreOf(plain, truth, days),
  }
}

function limitsOf(book: RuleBook): RuleBook {
  return { ...book, rules: book.rules.filter((rule) => rule.kind === 'limit') }
}

/** What the running plant raised against what its producers injected; limits: those alarms that limit rules raised. */
async function stored(config: Config, hours: number, warm: number): Promise<Result> {
  const sql = connect(config.DATABASE_URL, { name: 'score', role: 'monitor', max: 1 })
  try {
    const since = `${hours} hours`
    const learnt = `${warm} hours`
    const truth = await ask(
      'read the injected faults',
      sql<Truth[]>`
        select sensor_id as "sensorId", kind, size_sigma as size, extract(epoch from started_at)::float8 * 1e6 as "from",
          extract(epoch from coalesce(ended_at, now()))::float8 * 1e6 as "to",
          started_at < greatest(now() - ${since}::interval, first_seen + ${learnt}::interval) as unwatched
        from fault_episodes f join (select sensor_id, min(first_seen_at) as first_seen from sensors group by 1) s using (sensor_id)
        where coalesce(ended_at, now()) > now() - ${since}::interval and started_at < now()`,
    )
    const alarms = await ask(
      'read the alarms',
      sql<(Scored & { ruleId: string })[]>`
        select sensor_id as "sensorId", rule_id as "ruleId", extract(epoch from "timestamp")::float8 * 1e6 as at
        from alerts a where "timestamp" > now() - ${since}::interval and sensor_type not in ('machine', 'producer')
          and "timestamp" > (select min(first_seen_at) from sensors s where s.sensor_id = a.sensor_id) + ${learnt}::interval`,
    )
    const [watched] = await ask(
      'read how much was watched',
      sql<{ sensors: number; days: number }[]>`
        select count(*)::int as sensors, coalesce(sum(greatest(0, least(extract(epoch from now() - first) - ${warm * 3600}::float8,
          ${hours * 3600}::float8))) / 86400, 0)::float8 as days
        from (select min(first_seen_at) as first from sensors group by sensor_id) s`,
    )
    const [book] = await listBooks(sql, 1)
    const limitRules = new Set(
      book ? limitsOf(parseBook(book.book, `version ${book.version}`)).rules.map((rule) => rule.id) : [],
    )
    const plain = alarms.filter((a) => limitRules.has(a.ruleId))
    return {
      seed: null,
      hours,
      sensors: watched?.sensors ?? 0,
      ...scores(alarms, plain, truth, watched?.days ?? 0),
    }
  } catch (cause) {
    if (cause instanceof Stop) throw cause
    const seen = cause instanceof Error ? cause.message : String(cause)
    throw new Stop(
      `Cannot score: PostgreSQL does not answer: ${seen}: start it (bun run infra), or use --simulate`,
      EXIT.unavailable,
      { cause },
    )
  } finally {
    await closeSql(sql)
  }
}

function print({ seed, hours, sensors, all, lasting, limits }: Result): void {
  console.log(`${sensors} sensors, ${hours} h${seed === null ? '' : `, seed ${seed}`}`)
  const line = (name: string, s: Score) =>
    console.log(
      `${name.padEnd(15)} precision ${share(s.precision)}  recall ${share(s.recall)} (${s.found}/${s.faults}, at most ${share(s.mostRecall)})  half found within ${delay(s.medianDelay)}`,
    )
  line('all faults', all)
  line('lasting faults', lasting)
  line('limits alone', limits)
  console.log(
    `false alarms a day per 100 sensors ${all.falseAlarmsADayPer100.toFixed(1)} (${all.falseAlarms}), on the way back from a fault ${all.echoesADayPer100.toFixed(1)} (${all.echoes}), of limits alone ${limits.falseAlarmsADayPer100.toFixed(1)} (${limits.falseAlarms})`,
  )
  console.log('')
  for (const [i, row] of all.rows.entries()) {
    const most = row.findable < row.faults - 0.05 ? `   at most ${row.findable.toFixed(1)}` : ''
    console.log(
      `${row.name.padEnd(18)} ${String(row.found).padStart(4)} of ${String(row.faults).padEnd(4)}  ${delay(row.medianDelay).padStart(8)}   limits alone ${String(limits.rows[i]?.found ?? 0).padStart(3)}${most}`,
    )
  }
}

function share(x: number | null): string {
  return x === null ? '   –' : x.toFixed(3)
}

function delay(seconds: number | null): string {
  return seconds === null ? '–' : `${seconds.toFixed(0)} s`
}
