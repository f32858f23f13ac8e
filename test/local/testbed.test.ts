import { expect, test } from 'bun:test'
import { closeSql, connect } from '../../lib/db/connect.ts'
import { kafkaClients } from '../../lib/kafka/client.ts'
import { database, freshTopic, kafka, STACK_MS } from '../stack.ts'

test(
  'freshTopic() gives a topic with three copies on three nodes',
  async () => {
    const { brokers } = await kafka()
    const topic = await freshTopic(2)
    const admin = kafkaClients({ brokers, clientId: 'test' }).current().admin()
    await admin.connect()
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    await admin.disconnect()
    expect(topics[0]?.partitions.map((p) => p.replicas.length)).toEqual([3, 3])
  },
  STACK_MS,
)

test(
  'database() gives a fresh migrated database each time',
  async () => {
    const [one, two] = [await database(), await database()]
    expect(one.url).not.toBe(two.url)
    const sql = connect(two.url, { name: 'test', max: 1 })
    const tables = await sql`select table_name from information_schema.tables where table_name = 'sensors'`
    const settings =
      await sql`select name, setting from pg_settings where name in ('fsync', 'synchronous_commit') order by 1`
    await closeSql(sql)
    expect(tables).toHaveLength(1)
    expect(settings.map((row) => row.setting)).toEqual(['on', 'on'])
  },
  STACK_MS,
)
