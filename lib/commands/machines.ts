import { rebaselineMachine } from '../alarm/rebaseline.ts'
import { parseConfig } from '../config.ts'
import { ask, closeSql, connect, type Sql } from '../db/connect.ts'
import { EXIT, Stop } from '../run.ts'
import { actorFlag, command } from './command.ts'

const HELP = `bun run machines: the condition of each machine against its frozen baseline.

  list                  every machine: commissioning, normal or alarmed, and which sensor has most to do with it
  rebaseline MACHINE    after maintenance or a changed load: forget the baseline, learn a new one, end the alarm

  --reason TEXT         why (rebaseline needs one)
  --section NAME        where several sections have a machine of that name
  --by NAME             who (default your login)
  --json

exit 0 · 1 no machine has that name · 2 usage · 69 PostgreSQL is not there`

interface Row {
  factory_section: string
  machine_id: string
  condition: string
  score: number
  commissioned: number | null
  loudest: string | null
  baseline_since: Date | null
  baseline_by: string | null
  baseline_reason: string | null
}

await command({
  help: HELP,
  words: 2,
  options: {
    reason: { type: 'string' },
    section: { type: 'string' },
    by: { type: 'string' },
    json: { type: 'boolean' },
  },
  async main(values, [act = 'list', machineId]) {
    const config = parseConfig()
    if (act !== 'list' && act !== 'rebaseline')
      throw new Stop(`Cannot do "${act}" with machines: see --help`, EXIT.usage)
    if (act === 'rebaseline' && (!machineId || !values.reason))
      throw new Stop('Cannot rebaseline: MACHINE and --reason are needed: see --help', EXIT.usage)
    const by = actorFlag(values.by)
    const sql = connect(config.DATABASE_URL, { name: 'machines', role: 'monitor', max: 1 })
    try {
      if (act === 'list') return print(await list(sql), values.json === true)
      const done = await rebaselineMachine(sql, {
        machineId: machineId ?? '',
        factorySection: values.section === undefined ? null : String(values.section),
        by,
        reason: String(values.reason),
        alertTopic: config.ALERT_TOPIC,
      })
      console.log(
        done === 0 ? `no machine is called ${machineId}` : `${machineId} learns a new baseline from now on`,
      )
      return done === 0 ? EXIT.fault : EXIT.ok
    } catch (cause) {
      if (cause instanceof Stop) throw cause
      const seen = cause instanceof Error ? cause.message : String(cause)
      throw new Stop(
        `Cannot reach the machines: ${seen}: start PostgreSQL (bun run infra)`,
        EXIT.unavailable,
        {
          cause,
        },
      )
    } finally {
      await closeSql(sql)
    }
  },
})

function list(sql: Sql): Promise<Row[]> {
  return ask(
    'list the machines',
    sql<Row[]>`
      select factory_section, machine_id, condition, score, contributions->0->>'sensor_id' as loudest,
        (select min((c->>'commissioned')::float8) from jsonb_array_elements(contributions) c) as commissioned,
        baseline_since, baseline_by, baseline_reason
      from machines order by score desc, factory_section, machine_id`,
  )
}

function print(machines: readonly Row[], json: boolean): number {
  if (json) console.log(JSON.stringify(machines, null, 2))
  else
    for (const m of machines) {
      const done = m.condition === 'commissioning' ? ` ${Math.floor(100 * (m.commissioned ?? 0))} %` : ''
      const since = m.baseline_since ? `  baseline since ${m.baseline_since.toISOString()}` : ''
      const who = m.baseline_by ? ` (${m.baseline_by}: ${m.baseline_reason ?? ''})` : ''
      const loudest = m.score >= 0.25 && m.loudest ? `  most: ${m.loudest}` : ''
      console.log(
        `${m.factory_section}/${m.machine_id}  ${m.condition}${done}  ${m.score.toFixed(2)}${loudest}${since}${who}`,
      )
    }
  return EXIT.ok
}
