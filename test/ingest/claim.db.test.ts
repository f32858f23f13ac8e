import { expect, setDefaultTimeout, test } from 'bun:test'
import { createDatabase, type Sql } from '../../lib/db/connect.ts'
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
