import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { Partitioners } from 'kafkajs'
import { murmur2, partitionOf } from '../../lib/kafka/partitioner.ts'

test('murmur2() gives the numbers of Kafka’s own test', () => {
  // org.apache.kafka.common.utils.UtilsTest.testMurmur2
  const cases: Record<string, number> = {
    '21': -973932308,
    foobar: -790332482,
    'a-little-bit-long-string': -985981536,
    'a-little-bit-longer-string': -1486304829,
    lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8: -58897971,
    abc: 479470107,
  }
  for (const [key, hash] of Object.entries(cases))
    expect([key, murmur2(Buffer.from(key))]).toEqual([key, hash])
})

test('partitionOf() is the default partitioner of the library, for any key', () => {
  const theirs = Partitioners.DefaultPartitioner()
  const oneOf = (partitions: number) =>
    Array.from({ length: partitions }, (_, partitionId) => ({
      partitionId,
      leader: 1,
      partitionErrorCode: 0,
      replicas: [1],
      isr: [1],
    }))
  const key = fc.oneof(fc.string({ unit: 'grapheme' }), fc.uint8Array())
  fc.assert(
    fc.property(key, fc.integer({ min: 1, max: 50 }), (key, partitions) => {
      const bytes = Buffer.from(key as string)
      const message = { key: bytes, value: null }
      const expected = theirs({ topic: 't', partitionMetadata: oneOf(partitions), message })
      expect(partitionOf(key, partitions)).toBe(expected)
    }),
    { numRuns: 2000 },
  )
})
