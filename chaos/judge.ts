import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { collect } from './judge/collect.ts'
import { startRecorder } from './judge/recorder.ts'
import { judge, type Verdict } from './judge/verdict.ts'

const HELP = `bun chaos/judge record|report: an independent judge of a run, from a ledger outside the system

  record   watches the running system (spools, positions, API, processes) until SIGTERM or Ctrl-C
  report   reads the ledger, the topics and the tables, and judges I1 to I12: one JSON object on stdout

  --ledger DIR     where the ledger lies (default .factory/ledger)
  --root DIR       the folder that the programs run in (default: here)
  --brokers LIST   default KAFKA_BROKERS, or localhost:9092,localhost:9094,localhost:9096 (plus PORT_OFFSET)
  --database URL   default DATABASE_URL, or that of the local stack (plus PORT_OFFSET)
  --monitor URL    default http://localhost:5000 (plus PORT_OFFSET); none: the API is not polled
  --spools DIR     default SPOOL_DIR, or .factory/spool
  --logs DIR       default .factory/logs
  --readings LIST  topics of readings (default SENSOR_TOPIC, or sensor-data)
  --alerts TOPIC   default ALERT_TOPIC, or alerts
  --secret TEXT    must stand in no log (may be given often; default: the password of the database)
  --settle 60      seconds to wait for what is in the log to be stored

What a producer sent and what was acknowledged is recorded by a tap (without it I4 is not applicable):
JUDGE_LEDGER=DIR bun --preload ./chaos/judge/tap.ts producer.ts. Faults: those of chaos scripts, and lines in
DIR/faults.jsonl, as chaos/judge/ledger.ts tells.

exit 0 all that could be looked at held · 1 something is violated · 2 usage · 69 a server does not answer`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ledger: { type: 'string' },
    root: { type: 'string' },
    brokers: { type: 'string' },
    database: { type: 'string' },
    monitor: { type: 'string' },
    spools: { type: 'string' },
    logs: { type: 'string' },
    readings: { type: 'string' },
    alerts: { type: 'string' },
    secret: { type: 'string', multiple: true },
    settle: { type: 'string', default: '60' },
    help: { type: 'boolean' },
  },
})
const { env } = process
const offset = Number(env.PORT_OFFSET ?? 0)
const root = resolve(values.root ?? '.')
const state = resolve(root, env.STATE_DIR ?? '.factory')
const ledger = resolve(values.ledger ?? join(state, 'ledger'))
const database =
  values.database ??
  env.DATABASE_URL ??
  `postgresql://factory_user:factory_pass@localhost:${5432 + offset}/factory_monitoring`
const brokers = (
  values.brokers ??
  env.KAFKA_BROKERS ??
  [9092, 9094, 9096].map((port) => `localhost:${port + offset}`).join()
).split(',')
const monitor = values.monitor === 'none' ? null : (values.monitor ?? `http://localhost:${5000 + offset}`)

const [what] = positionals
if (values.help || (what !== 'record' && what !== 'report')) {
  console[values.help ? 'log' : 'error'](HELP)
  process.exit(values.help ? 0 : 2)
}
if (what === 'record') await record()
else await report()

async function record(): Promise<void> {
  const spools = resolve(root, values.spools ?? env.SPOOL_DIR ?? join(state, 'spool'))
  const recorder = startRecorder({ ledger, database, spools, monitor, root })
  console.error(`recording into ${ledger}`)
  await new Promise<void>((done) =>
    ['SIGINT', 'SIGTERM'].forEach((signal) => process.once(signal, () => done())),
  )
  await recorder.stop()
  process.exit(0)
}

async function report(): Promise<void> {
  const password = new URL(database).password
  const evidence = await collect({
    ledger,
    database,
    brokers,
    readings: (values.readings ?? env.SENSOR_TOPIC ?? 'sensor-data').split(','),
    alerts: values.alerts ?? env.ALERT_TOPIC ?? 'alerts',
    logs: resolve(root, values.logs ?? join(state, 'logs')),
    runs: join(state, 'chaos/runs'),
    secrets: values.secret ?? (password ? [decodeURIComponent(password)] : []),
    settleMs: Number(values.settle) * 1000,
  }).catch((error: unknown) => {
    console.error(
      `Cannot judge: ${error instanceof Error ? error.message : String(error)}: are Kafka and PostgreSQL up?`,
    )
    process.exit(69)
  })
  const verdict = judge(evidence)
  console.log(JSON.stringify(verdict, null, 2))
  for (const line of sentences(verdict)) console.error(line)
  process.exit(verdict.verdict === 'held' ? 0 : 1)
}

function sentences({ invariants, readings, faults, verdict }: Verdict): string[] {
  const { accepted, in_log, stored } = readings
  return [
    ...invariants.map(
      (i) => `${i.id.padEnd(3)} ${i.verdict.padEnd(14)} ${i.says}${i.note ? ` (${i.note})` : ''}`,
    ),
    ...invariants.flatMap((i) => i.examples.map((x) => `    ${i.id}: ${x}`)),
    `${verdict}: ${accepted} accepted, ${in_log} in the log, ${stored} stored, ${faults} faults`,
  ]
}
