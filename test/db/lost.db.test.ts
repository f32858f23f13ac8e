import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from 'bun:test'
import { createConnection, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { ask, closeSql, connect, type Sql, type Transaction } from '../../lib/db/connect.ts'
import { DeadlineError } from '../../lib/run.ts'
import { database, STACK_MS } from '../stack.ts'

setDefaultTimeout(STACK_MS)

/**
 * What our patches of the library answer for where a connection to PostgreSQL is lost, at exact moments: between the pool and
 * the server stands a proxy that ends the connection with, behind or instead of the server's next answer.
 */
type End = (client: Socket, answer: Buffer) => void

let url: URL
let proxy: Server
let sql: Sql
let next: End | null = null
let connections = 0
const open = new Set<Socket>()

beforeAll(async () => {
  url = new URL((await database()).url)
  const target = { host: url.hostname, port: Number(url.port) }
  proxy = createServer((client) => {
    connections++
    const server = createConnection(target)
    client.on('data', (bytes) => void server.write(bytes))
    server.on('data', (bytes: Buffer) => {
      const end = next
      next = null
      if (end) end(client, bytes)
      else client.write(bytes)
    })
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const)
      one.on('error', () => {}).on('close', () => (open.delete(one), other.destroy()))
    open.add(client).add(server)
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  url.hostname = '127.0.0.1'
  url.port = String((proxy.address() as AddressInfo).port)
})
beforeEach(async () => {
  connections = 0
  sql = connect(url.href, { name: 'test', max: 1 })
  await ask('connect', sql`select 1`, 5000)
})
afterEach(async () => {
  next = null
  await closeSql(sql)
})
afterAll(() => {
  for (const socket of open) socket.destroy()
  proxy.close()
})

/** What a backend says when an administrator ends it. */
function lastWords(): Buffer {
  const fields = Buffer.from(
    'SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0',
  )
  const head = Buffer.from('E\0\0\0\0')
  head.writeInt32BE(fields.length + 4, 1)
  return Buffer.concat([head, fields])
}

const ends: Record<string, End> = {
  'ends instead of the answer': (client) => void client.destroy(),
  'ends behind the answer': (client, answer) => void client.end(answer),
  'ends in the middle of the answer': (client, answer) => void client.end(answer.subarray(0, -20)), // a row came, no end of rows
  'ends with the last words of the backend': (client) => void client.end(lastWords()),
  'is reset instead of the answer': (client) => void client.resetAndDestroy(),
  'is reset behind the answer': (client, answer) => void client.write(answer, () => client.resetAndDestroy()),
}

const table = (tx: Transaction) => tx`create temp table t (a int) on commit drop`
const copy = (tx: Transaction) => tx.unsafe('copy t from stdin').writable()

/** What is under way in a transaction; from `arm()` on the next answer is the last. */
const works: Record<string, (tx: Transaction, arm: () => void) => Promise<unknown>> = {
  async 'a statement'(tx, arm) {
    arm()
    await tx`select 1`
    await tx`select 2`
  },
  async 'a statement, and another one later'(tx, arm) {
    arm()
    await tx`select 1`.catch(() => {})
    await Bun.sleep(20)
    await tx`select 2`
  },
  async 'three statements at once'(tx, arm) {
    arm()
    await Promise.all([tx`select 1`, tx`select 2`, tx`select 3`])
    await tx`select 4`
  },
  async 'a statement that is refused'(tx, arm) {
    arm()
    await tx`select 1 / 0`
  },
  async 'the beginning of a COPY'(tx, arm) {
    await table(tx)
    arm()
    const stream = await copy(tx)
    await new Promise<void>((resolve, reject) => stream.on('error', reject).on('finish', resolve).end('1\n'))
    await tx`select 1`
  },
  async 'a COPY that is written to and ended when the socket is dead'(tx, arm) {
    await table(tx)
    const stream = await copy(tx)
    const failed = new Promise<Error>((resolve) => stream.on('error', resolve))
    arm()
    stream.write('no number\n'.repeat(10_000)) // the server refuses it: its answer is the last
    await failed
    await Bun.sleep(20)
    stream.write('1\n')
    await new Promise((resolve) => stream.end(resolve))
    throw await failed
  },
  async 'the end of a COPY'(tx, arm) {
    await table(tx)
    const stream = await copy(tx)
    arm()
    await new Promise<void>((resolve, reject) => stream.on('error', reject).on('finish', resolve).end('1\n'))
    await tx`select 1`
  },
}

describe('patched postgres: when the connection', () => {
  for (const [end, act] of Object.entries(ends))
    for (const [work, run] of Object.entries(works))
      test(`${end}, ${work} of a transaction is an error, and the pool goes on at once`, async () => {
        const lost = sql.begin((tx) => run(tx, () => (next = act)))
        const error = await ask('be told', lost, 3000).then(
          () => null,
          (e: unknown) => e,
        )
        expect(error).toBeInstanceOf(Error)
        expect(error).not.toBeInstanceOf(DeadlineError)
        for (const n of [7, 8])
          expect([...(await ask('go on', sql`select ${n}::int as n`, 3000))]).toEqual([{ n }])
        expect(connections).toBe(2) // the second one is not greeted with what the first still had to say
      })

  test('ends, the pool ends too: it does not wait for the answer that was lost', async () => {
    next = (client) => void client.destroy()
    const error = await sql`select 1`.catch((e: unknown) => e)
    expect(error).toBeInstanceOf(Error)
    await ask('end', sql.end(), 1000)
  })

  test('ends, statements of a transaction that were still to be sent are told', async () => {
    let told = 0
    const lost = sql.begin(async (tx) => {
      await tx`select 1`
      next = (client) => void client.destroy()
      const statements = Array.from({ length: 300 }, () => tx`select 1`)
      for (const { status } of await Promise.allSettled(statements)) told += Number(status === 'rejected')
    })
    expect(await ask('be told', lost, 3000).catch((e: unknown) => e)).toBeInstanceOf(Error)
    await Bun.sleep(1)
    expect(told).toBe(300)
  })

  const looks: Record<string, () => unknown> = {
    'is done': () => {},
    'is done, and the connection serves another': () => elsewhere(),
    'has thrown': () => Promise.reject(new Error('what a row')),
    'has thrown, and the connection serves another': () =>
      elsewhere().then(() => Promise.reject(new Error('what a row'))),
  }
  let other: PromiseLike<unknown>
  async function elsewhere(): Promise<void> {
    other = sql`select 9 as n from pg_sleep(0.1)`.execute()
    await Bun.sleep(50)
  }
  for (const [look, after] of Object.entries(looks))
    test(`ends while a row of a cursor is looked at, it is an error, and nobody is written to once that ${look}`, async () => {
      other = Promise.resolve([{ n: 9 }])
      const rows = sql`select generate_series(1, 3)`.cursor(1, async () => {
        await lose()
        await after()
      })
      expect(await ask('be told', rows, 3000).catch((e: unknown) => e)).toMatchObject(LOST)
      await Bun.sleep(100) // unpatched the process ends: "null is not an object (evaluating 'socket.write')"
      expect([...((await ask('go on', other, 3000)) as object[])]).toEqual([{ n: 9 }])
      expect([...(await ask('go on', sql`select 7 as n`, 3000))]).toEqual([{ n: 7 }])
    })

  test('ends while a row of a cursor is looked at, the rows do not end as if they were all', async () => {
    const rows = (async () => {
      for await (const _ of sql`select generate_series(1, 3)`.cursor(1)) await lose()
    })()
    expect(await ask('be told', rows, 3000).catch((e: unknown) => e)).toMatchObject(LOST)
    expect([...(await ask('go on', sql`select 7 as n`, 3000))]).toEqual([{ n: 7 }])
  })

  const LOST = { code: 'CONNECTION_CLOSED' }
  async function lose(): Promise<void> {
    for (const socket of open) socket.destroy()
    await Bun.sleep(20)
  }
})
