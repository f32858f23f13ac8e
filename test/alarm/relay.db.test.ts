import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { runRelay, type Relay } from '../../lib/alarm/relay.ts'
import { createDatabase, type Database } from '../../lib/db/connect.ts'
import { until } from '../door.ts'
import { database, STACK_MS } from '../stack.ts'

setDefaultTimeout(STACK_MS)

let db: Database
beforeAll(async () => {
  db = createDatabase((await database()).url, { name: 'test', max: 3 })
})
afterAll(() => db?.close())

/** Sends two a page from a list that the test fills. */
function relayOf(waiting: string[]) {
  const seen = { sent: [] as string[], questions: 0, pages: 0 }
  const relay: Relay = {
    name: crypto.randomUUID(),
    channel: 'relay_test',
    async waits() {
      seen.questions++
      return waiting.length > 0
    },
    async page() {
      seen.pages++
      seen.sent.push(...waiting.splice(0, 2))
      return waiting.length > 0
    },
  }
  return { relay, seen }
}

test('a relay opens a transaction only where something waits, and one page follows the other without a question', async () => {
  const waiting: string[] = []
  const { relay, seen } = relayOf(waiting)
  const stop = new AbortController()
  const running = runRelay(db, relay, stop.signal)
  await until('the first question', async () => seen.questions === 1)
  expect(seen.pages).toBe(0)

  waiting.push('a', 'b', 'c', 'd', 'e')
  await until('what nobody told of', async () => seen.sent.length === 5)
  expect(seen).toMatchObject({ questions: 2, pages: 3, sent: ['a', 'b', 'c', 'd', 'e'] })

  stop.abort()
  await running
})

test('what a writer tells of is sent at once, without a question, also when it comes during a page', async () => {
  const waiting: string[] = []
  const { relay, seen } = relayOf(waiting)
  const page = relay.page
  relay.page = async (tx) => {
    const more = await page(tx)
    if (seen.pages === 1) {
      waiting.push('during')
      await db.sql`select pg_notify('relay_test', '')`
      await Bun.sleep(100) // the word has come before the page ends
    }
    return more && seen.pages > 1
  }
  const stop = new AbortController()
  const running = runRelay(db, relay, stop.signal)
  await until('the first question', async () => seen.questions === 1)
  waiting.push('first')
  await until('the relay to listen', async () => {
    await db.sql`select pg_notify('relay_test', '')`
    return seen.sent.length > 0
  })
  await until('both', async () => seen.sent.includes('during'))
  expect(seen.questions).toBe(1)

  stop.abort()
  await running
})
