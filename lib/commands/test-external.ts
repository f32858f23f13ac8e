import type { Config } from '../config.ts'
import { closeSql, connect } from '../db/connect.ts'
import { clusterOf, kafkaClients } from '../kafka/client.ts'
import { monitorUrl } from '../local/plan.ts'
import { httpAnswers } from '../local/probe.ts'
import { anyBrokerAnswers, stackConfig } from '../local/servers.ts'
import { EXIT, withDeadline } from '../run.ts'
import { command } from './command.ts'

const HELP = `bun run test-external: can a program on this machine use the stack? Each broker by its address, each broker by the
address that the cluster hands out (the usual fault of containers), the topics, a login to PostgreSQL, the monitor.
Changes nothing.

  --json   as JSON

exit 0 everything can be reached · 69 something can't`

const ANSWER_MS = 10_000
type Line = { what: string; ok: boolean; detail: string }

await command({
  help: HELP,
  options: { json: { type: 'boolean' } },
  async main({ json }) {
    const { config } = await stackConfig()
    const lines = [
      ...(await Promise.all(config.KAFKA_BROKERS.map(brokerLine))),
      ...(await tried('cluster', () => clusterLines(config))),
      ...(await tried('PostgreSQL', () => databaseLines(config))),
      { what: 'monitor', ok: await httpAnswers(`${monitorUrl(config)}/livez`), detail: monitorUrl(config) },
    ]
    if (json) console.log(JSON.stringify({ ok: lines.every((line) => line.ok), checks: lines }))
    else
      for (const line of lines)
        console.log(`${line.ok ? 'ok   ' : 'FAULT'}  ${line.what.padEnd(12)} ${line.detail}`)
    return lines.every((line) => line.ok) ? EXIT.ok : EXIT.unavailable
  },
})

async function tried(what: string, work: () => Promise<Line[]>): Promise<Line[]> {
  try {
    return await withDeadline(work(), ANSWER_MS, `reach ${what}`)
  } catch (error) {
    return [{ what, ok: false, detail: error instanceof Error ? error.message : String(error) }]
  }
}

async function brokerLine(address: string): Promise<Line> {
  const ok = await anyBrokerAnswers([address])
  return { what: 'broker', ok, detail: `${address} ${ok ? 'answers' : 'does not answer'}` }
}

async function clusterLines(config: Config): Promise<Line[]> {
  const admin = kafkaClients({ ...clusterOf(config), clientId: 'test-external' })
    .current()
    .admin()
  await admin.connect()
  try {
    const { clusterId, brokers } = await admin.describeCluster()
    const handedOut = await Promise.all(
      brokers.map(async ({ nodeId, host, port }) => {
        const ok = await anyBrokerAnswers([`${host}:${port}`])
        return {
          what: `node ${nodeId}`,
          ok,
          detail: `the cluster names ${host}:${port}${ok ? '' : ', which can’t be reached from here'}`,
        }
      }),
    )
    const topics = (await admin.listTopics()).filter((topic) => !topic.startsWith('__'))
    const hasTopic = topics.includes(config.SENSOR_TOPIC)
    return [
      { what: 'cluster', ok: true, detail: `${clusterId}, ${brokers.length} nodes` },
      ...handedOut,
      {
        what: 'topics',
        ok: hasTopic,
        detail: hasTopic ? topics.sort().join(', ') : `${config.SENSOR_TOPIC} is missing: bun run topics`,
      },
    ]
  } finally {
    await admin.disconnect()
  }
}

async function databaseLines(config: Config): Promise<Line[]> {
  const sql = connect(config.DATABASE_URL, { name: 'test-external', max: 1 })
  try {
    const [row] = await sql<{ version: string; user: string; database: string }[]>`
      select current_setting('server_version') as version, current_user as user, current_database() as database`
    return [{ what: 'PostgreSQL', ok: true, detail: `${row?.version}, ${row?.user} on ${row?.database}` }]
  } finally {
    await closeSql(sql)
  }
}
