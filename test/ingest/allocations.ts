import { giveBack } from '../../lib/ingest/copy.ts'
import { decodeFactory } from '../../lib/ingest/decode.ts'
import { identityOf } from '../../lib/ingest/identity.ts'
import { createOutputs } from '../../lib/ingest/outputs.ts'
import { createProcessor, createState } from '../../lib/ingest/partition.ts'
import { walk } from '../../lib/kafka/records.ts'
import { batchOf, plainOf } from './batch.ts'
import { freshState, keys, logOf, where } from './log.ts'

/**
 * Run with the collector switched off (BUN_JSC_useGC=0): by how many bytes memory grows with each reading, read by its form
 * (with all detectors, or without rules) or decoded. A count of bytes does not depend on how busy the machine is.
 */
const READINGS = 200_000
const SENSORS = 50
const CHUNK = 1000
const [, , way] = process.argv
const isShort = way !== 'decoded'

const chunks = await Promise.all(
  Array.from({ length: READINGS / CHUNK }, (_, chunk) => {
    const sent = Array.from({ length: CHUNK }, (_, i) => {
      const n = chunk * CHUNK + i
      return {
        sensor: `temp-${n % SENSORS}`,
        seq: Math.floor(n / SENSORS) + 1,
        value: 20 + (n % 9) / 10,
        at: n / 1000,
      }
    })
    return batchOf(logOf(sent).map((m) => ({ ...m, offset: m.offset + chunk * CHUNK })))
  }),
)
let outputs = createOutputs()
const processor = createProcessor(
  way === 'judged' ? freshState() : createState(),
  () => outputs,
  where,
  keys,
  'consumer-1',
)

function drain(bytes: Buffer): void {
  const records = walk(plainOf(bytes))
  while (records.standing) {
    if (isShort && processor.run(records, CHUNK, Infinity) > 0) continue
    const message = records.message()
    processor.process(message, decodeFactory(message.value), identityOf(message.headers))
    records.next()
  }
  giveBack(outputs.copy.finish()) // as the writer does
  outputs = createOutputs()
}

const warmUp = chunks.length / 4
for (const bytes of chunks.slice(0, warmUp)) drain(bytes)
const before = process.memoryUsage.rss()
for (const bytes of chunks.slice(warmUp)) drain(bytes)
console.log((process.memoryUsage.rss() - before) / (READINGS - warmUp * CHUNK))
