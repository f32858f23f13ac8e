import { createRequire } from 'node:module'
import { bookOfFile } from '../lib/alarm/books.ts'
import { parseBook } from '../lib/alarm/rulebook.ts'
import { createRules, NO_RULES } from '../lib/alarm/rules.ts'
import { parseConfig } from '../lib/config.ts'
import { createPlant, plantOptions } from '../lib/fleet/plant.ts'
import { decodeFactory } from '../lib/ingest/decode.ts'
import { identityOf } from '../lib/ingest/identity.ts'
import { createOutputs } from '../lib/ingest/outputs.ts'
import { createProcessor, createState } from '../lib/ingest/partition.ts'
import { walk, type PlainRecords } from '../lib/kafka/records.ts'
import { settingsOf } from './ground/settings.ts'
import { showTable } from './ground/table.ts'
import { machine } from './machine.ts'

const HELP = `bun run bench path: what a reading costs between the fetched bytes and the rows for PostgreSQL, stage by stage, in
nanoseconds of this process's processor time; no Kafka, no database.

  --readings N    default 300000, each measured again in --rounds rounds, the best of which is told
  --sensors N     default 300
  --rounds N      default 5
  --help          this text`

const settings = settingsOf(HELP, { readings: 300_000, sensors: 300, rounds: 5 })

const require = createRequire(import.meta.url)
const Record = require('kafkajs/src/protocol/recordBatch/record/v0')
const { RecordBatch } = require('kafkajs/src/protocol/recordBatch/v0')
const { plainRecords } = require('kafkajs/src/protocol/recordBatch/plainRecords') as {
  plainRecords(bytes: Buffer): PlainRecords & { decode(): unknown[] }
}

const count = settings.readings
const config = parseConfig({})
const book = createRules(1, parseBook(bookOfFile(config), config.RULES_FILE))
const fetches = await fetched(count, settings.sensors)
const where = { topic: config.SENSOR_TOPIC, partition: 0, topicKey: 1 }
let sensors = new Map<string, number>()
const keys = {
  sensor: (r: { sensorId: string }) => {
    let key = sensors.get(r.sensorId)
    if (!key) sensors.set(r.sensorId, (key = sensors.size + 1))
    return key
  },
  run: () => 1,
}

const stages = {
  walk: () => {
    let sum = 0
    for (const bytes of fetches)
      for (const records = walk(plainRecords(bytes)); records.standing; records.next()) sum += records.valueTo
    return sum
  },
  transfer: () => drain(NO_RULES, true),
  everything: () => drain(book, true),
  'objects: decode by the library': () =>
    fetches.reduce((n, bytes) => n + plainRecords(bytes).decode().length, 0),
  'objects: transfer': () => drain(NO_RULES, false),
  'objects: everything': () => drain(book, false),
}

const figures: { [stage: string]: { ns: number; rows: number } } = {}
for (const [name, stage] of Object.entries(stages)) {
  let best = Infinity
  let rows = 0
  for (let i = 0; i < settings.rounds; i++) {
    Bun.gc(true)
    const started = process.cpuUsage()
    rows = stage()
    const used = process.cpuUsage(started)
    best = Math.min(best, ((used.user + used.system) * 1000) / count)
  }
  figures[name] = { ns: Math.round(best), rows }
}
showTable(Object.entries(figures).map(([stage, figure]) => ({ stage, ...figure })))
console.log(
  JSON.stringify(
    {
      bench: 'path',
      nanoseconds_a_reading: figures,
      bytes_a_reading: Math.round(fetches.reduce((n, b) => n + b.length, 0) / count),
      settings,
      machine: machine(),
    },
    null,
    2,
  ),
)

function drain(rules: typeof book, short: boolean): number {
  sensors = new Map()
  const state = { ...createState(), rules }
  let outputs = createOutputs()
  const processor = createProcessor(state, () => outputs, where, keys, 'bench')
  let rows = 0
  for (const bytes of fetches) {
    const records = walk(plainRecords(bytes))
    while (records.standing) {
      if (short && processor.run(records, 1000, Infinity) > 0) continue
      const message = records.message()
      if (!short) delete message.headerBytes
      processor.process(message, decodeFactory(message.value), identityOf(message.headers))
      records.next()
    }
    if (outputs.copy.rows >= 5000) {
      rows += outputs.copy.rows
      outputs.copy.finish()
      outputs = createOutputs()
    }
  }
  return rows + outputs.copy.rows
}

async function fetched(readings: number, sensorCount: number): Promise<Buffer[]> {
  const plant = createPlant({ ...plantOptions(config), sensorsPerType: Math.ceil(sensorCount / 5) })
  const numbers = new Map<string, number>()
  const list: Buffer[] = []
  let records = []
  let offset = 0
  let firstTimestamp = 0
  for (const m of plant.between(1.795e15, Infinity)) {
    const seq = (numbers.get(m.key) ?? 0) + 1
    numbers.set(m.key, seq)
    const at = Math.round((m.reading?.measuredAt ?? 0) / 1000)
    if (records.length === 0) firstTimestamp = at
    records.push(
      Record({
        offsetDelta: records.length,
        timestampDelta: at - firstTimestamp,
        key: m.key,
        value: m.encode({ runId: 'bench', seq }),
        headers: { 'run-id': 'bench', seq: String(seq) },
      }),
    )
    offset++
    if (records.length < 1000 && offset < readings) continue
    const batch = await RecordBatch({
      firstOffset: offset - records.length,
      firstTimestamp,
      maxTimestamp: at,
      lastOffsetDelta: records.length - 1,
      records,
    })
    list.push(Buffer.from(batch.buffer))
    records = []
    if (offset >= readings) break
  }
  return list
}
