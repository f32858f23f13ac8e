import { afterAll, beforeAll, expect, test } from 'bun:test'
import { writeJournal } from '../../lib/alarm/journal.ts'
import { closeSql, connect, type Sql } from '../../lib/db/connect.ts'
import { database, STACK_MS } from '../stack.ts'

let sql: Sql
beforeAll(async () => {
  sql = connect((await database()).url, { name: 'test', max: 1 }) // the owner: what not even it may do
}, STACK_MS)
afterAll(() => closeSql(sql))

const entry = {
  alert_id: '00000000-0000-5000-8000-000000000001',
  sensor_id: 'a',
  rule_id: 'r',
  transition: 'raised',
  at: '2026-09-21T12:00:00Z',
  actor: 'consumer-1',
  reason: 'because',
}

test('the journal of alarms only grows', async () => {
  await sql.begin((tx) => writeJournal(tx, [entry]))
  const attempts = [
    sql`update alert_journal set actor = 'somebody else'`,
    sql`delete from alert_journal`,
    sql`truncate alert_journal`,
  ]
  for (const attempt of attempts)
    await expect(attempt.execute()).rejects.toThrow('the journal is only ever added to')
  expect([...(await sql`select actor, transition from alert_journal`)]).toEqual([
    { actor: 'consumer-1', transition: 'raised' },
  ])
})
