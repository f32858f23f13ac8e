import { expect, setDefaultTimeout, test } from 'bun:test'
import { closeSql, connect, createDatabase, type Sql } from '../../lib/db/connect.ts'
import { CHECKPOINT_VERSION, encodeCheckpoint } from '../../lib/ingest/checkpoint.ts'
import { claimPartition } from '../../lib/ingest/claim.ts'
import { createDoubt } from '../../lib/ingest/log-end.ts'
import { createState } from '../../lib/ingest/partition.ts'
import { database, STACK_MS } from '../stack.ts'

setDefaultTimeout(STACK_MS)

const place = { clusterId: 'test-cluster', topic: 'sensor-data', partition: 0 }
const claim = (sql: Sql, owner: string, high: number) =>
  claimPartition(sql, place, owner, { low: 0, high }, null, createDoubt(Date.now))

test('a claim that another overtakes is refused, and tells nobody that detectors learn anew', async () => {
  const { url } = await database()
  const db = createDatabase(url, { name: 'test', max: 3 })
  try {
    let isOvertaken = false
    const overtake = async () => {
      isOvertaken = true
      const { epoch } = await claim(db.sql, 'rival', 10)
      await db.sql`update partition_progress set next_offset = 10 where epoch = ${epoch}`
      await db.sql`
        insert into partition_checkpoints (cluster_id, topic, partition, at_offset, version, state)
        values ('test-cluster', 'sensor-data', 0, 10, ${CHECKPOINT_VERSION}, ${encodeCheckpoint(createState())})`
    }
    // The rival's claim and batch fall between this one's claim and its look at the checkpoint.
    const sql = new Proxy(db.sql, {
      apply(target, self, [text, ...values]: [TemplateStringsArray, ...unknown[]]) {
        const query = () => Reflect.apply(target, self, [text, ...values]) as Promise<unknown>
        if (!isOvertaken && text.join('').includes('from partition_checkpoints'))
          return overtake().then(query)
        return query()
      },
    })
    const slow = claim(sql as Sql, 'consumer-1', 10)
    await expect(slow).rejects.toThrow('another consumer has claimed it meanwhile')
    expect(isOvertaken).toBe(true)
    expect((await claim(db.sql, 'consumer-1', 10)).notice).toBeNull()
  } finally {
    await db.close()
  }
})

/** Moves the partition in a transaction and sends the beginning of a COPY, as a process does that is frozen in the middle. */
function freeze(sql: Sql): { copies: Promise<unknown>; ended: Promise<unknown> } {
  const copies = Promise.withResolvers<void>()
  const ended = sql
    .begin(async (tx) => {
      await tx`update partition_progress set updated_at = now()`
      const stream = await tx
        .unsafe('copy system_events (source, event, severity, message) from stdin')
        .writable()
      stream.write('consumer-3\tlog.gap')
      copies.resolve()
      await new Promise((_, reject) => stream.once('error', reject))
    })
    .catch((error: Error) => error)
  return { copies: copies.promise, ended }
}

test('an owner that froze while it was copying is ended by whoever takes its partition over', async () => {
  const { url } = await database()
  const db = createDatabase(url, { name: 'consumer-1', role: 'consumer', max: 2 })
  const frozen = connect(url, { name: 'consumer-3', role: 'consumer', max: 1 })
  try {
    await claim(db.sql, 'consumer-3', 10)
    const { copies, ended } = freeze(frozen)
    await copies
    await expect(claim(db.sql, 'consumer-1', 10)).rejects.toThrow('lock timeout')
    expect(await ended).toBeInstanceOf(Error)
    expect((await claim(db.sql, 'consumer-1', 10)).epoch).toBe(2)
  } finally {
    await closeSql(frozen)
    await db.close()
  }
})

test('nobody else is ended who holds up a claim, and no owner that is idle or copies since a moment', async () => {
  const { url } = await database()
  const db = createDatabase(url, { name: 'consumer-1', role: 'consumer', max: 2 })
  const other = connect(url, { name: 'consumer-2', role: 'consumer', max: 1 })
  const owner = connect(url, { name: 'consumer-3', role: 'consumer', max: 1 })
  try {
    await claim(db.sql, 'consumer-3', 10)
    await owner`select 1`
    const { copies, ended } = freeze(other)
    await copies
    await expect(claim(db.sql, 'consumer-1', 10)).rejects.toThrow('lock timeout')
    const [found] =
      await db.sql`select end_frozen_writer('consumer-3') as owner, end_frozen_writer('consumer-2') as other`
    expect({ ...found }).toEqual({ owner: 0, other: 1 })
    expect(await ended).toBeInstanceOf(Error)
    const young = freeze(owner)
    await young.copies
    const [soon] = await db.sql`select end_frozen_writer('consumer-3') as owner`
    expect({ ...soon }).toEqual({ owner: 0 })
  } finally {
    await Promise.all([closeSql(other), closeSql(owner), db.close()])
  }
})
