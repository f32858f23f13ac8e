import { heapStats } from 'bun:jsc'
import { bookOfFile } from '../lib/alarm/books.ts'
import { parseBook } from '../lib/alarm/rulebook.ts'
import { createRules } from '../lib/alarm/rules.ts'
import { parseConfig } from '../lib/config.ts'
import { DEVICE_TOPIC, readingsOf } from '../lib/device.ts'
import { CHECKPOINT_VERSION, decodeCheckpoint, encodeCheckpoint } from '../lib/ingest/checkpoint.ts'
import { createOutputs } from '../lib/ingest/outputs.ts'
import { createProcessor, createState } from '../lib/ingest/partition.ts'
import { settingsOf } from './ground/settings.ts'
import { showFigures } from './ground/table.ts'
import { machine } from './machine.ts'

const HELP = `bun run bench devices: what one device (two sensors) costs a consumer that knows it: memory, without Kafka and PostgreSQL

  --devices N   default 20000
  --readings N  messages of each before it is measured (default 5)
  --types       by kind of object, too
  --help        this text

live: objects and their buffers after a collection; resident: what the process has grown by, with what the collector
has not given back. The checkpoint is one of all these devices, as if they stood in one partition.`

const { devices, readings, types } = settingsOf(HELP, { devices: 20_000, readings: 5, types: false })
const config = parseConfig({})
const rules = createRules(1, parseBook(bookOfFile(config), config.RULES_FILE))

let state = { ...createState(), rules }
let outputs = createOutputs()
const keys = { sensor: () => 1, run: () => 1 }
const where = { topic: DEVICE_TOPIC, partition: 0, topicKey: 1 }
const processor = createProcessor(state, () => outputs, where, keys, 'bench', false)
let uniform = 1
const random = () => (uniform = (uniform * 48271) % 2147483647) / 2147483647
const noise = () => random() + random() + random() + random() - 2
/** strings of its own for each message, as a decoder makes them */
const nameOf = (i: number) => Buffer.from(`device-${String(i).padStart(6, '0')}`).toString('latin1')

function round(n: number): void {
  for (let i = 0; i < devices; i++) {
    const id = nameOf(i)
    const ts = 1.79e15 + n * 20e6 + i
    const together = {
      id,
      ts,
      temperature: Math.fround(22 + (i % 7) + noise()),
      humidity: Math.fround(45 + 3 * noise()),
    }
    const message = {
      offset: n * devices + i,
      appendedAtMs: ts / 1000,
      key: null,
      value: null,
      headers: undefined,
    }
    const decoded = { source: id, readings: readingsOf(together), unknownFields: 0 }
    processor.process(message, decoded, { runId: 'run-1', seq: n + 1 })
    if (i % 5000 === 4999) outputs = createOutputs()
  }
}

Bun.gc(true)
const before = look()
const started = process.cpuUsage()
for (let n = 0; n < readings; n++) round(n)
const used = process.cpuUsage(started)
outputs = createOutputs()
Bun.gc(true)
const after = look()
const encoded = timed(() => encodeCheckpoint(state))
state = { ...createState(), rules }
const decoded = timed(() => decodeCheckpoint(encoded.result, CHECKPOINT_VERSION))
const figures = {
  devices,
  messages_a_device: readings,
  us_a_message: rounded((used.user + used.system) / (devices * readings)),
  live_bytes_a_device: Math.round((after.live - before.live) / devices),
  resident_bytes_a_device: Math.round((after.resident - before.resident) / devices),
  checkpoint_bytes_a_device: Math.round(encoded.result.length / devices),
  encode_us_a_device: rounded((1000 * encoded.ms) / devices),
  decode_us_a_device: rounded((1000 * decoded.ms) / devices),
  restored: decoded.result?.state.sensors.size,
  ...(types ? { objects_a_device: grown(before.types, after.types) } : {}),
}
showFigures(figures)
console.log(JSON.stringify({ bench: 'devices', ...figures, machine: machine() }, null, 2))

function look() {
  const { heapUsed, rss } = process.memoryUsage() // heapUsed has what lies outside the heap, too
  return { live: heapUsed, resident: rss, types: heapStats().objectTypeCounts }
}

function grown(from: Record<string, number>, to: Record<string, number>) {
  return Object.fromEntries(
    Object.entries(to)
      .map(([type, n]) => [type, rounded((n - (from[type] ?? 0)) / devices)] as const)
      .filter(([, n]) => n > 0.05),
  )
}

/** processor time of this process: neighbours on the machine don't count */
function timed<T>(work: () => T): { result: T; ms: number } {
  const at = process.cpuUsage()
  const result = work()
  const { user, system } = process.cpuUsage(at)
  return { result, ms: (user + system) / 1000 }
}

function rounded(x: number): number {
  return Math.round(x * 100) / 100
}
