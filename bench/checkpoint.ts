import { bookOfFile } from '../lib/alarm/books.ts'
import { parseBook } from '../lib/alarm/rulebook.ts'
import { createRules } from '../lib/alarm/rules.ts'
import { parseConfig } from '../lib/config.ts'
import { decodeCheckpoint, CHECKPOINT_VERSION, encodeCheckpoint } from '../lib/ingest/checkpoint.ts'
import { createMark, place } from '../lib/ingest/marks.ts'
import { createOutputs } from '../lib/ingest/outputs.ts'
import { createProcessor, createState } from '../lib/ingest/partition.ts'
import { SENSOR_TYPES, UNITS, type Reading } from '../lib/reading.ts'
import { settingsOf } from './ground/settings.ts'
import { showFigures } from './ground/table.ts'
import { machine } from './machine.ts'

const HELP = `bun run bench checkpoint: what the rule book in force costs: processor time a reading (of this process, everything from the
processed message to the verdicts), memory a sensor, and a checkpoint's bytes and time a sensor

  --sensors N   default 2000
  --readings N  of each (default 300)
  --help        this text`

const { sensors, readings } = settingsOf(HELP, { sensors: 2000, readings: 300 })
const config = parseConfig({})
const rules = createRules(1, parseBook(bookOfFile(config), config.RULES_FILE))
const LEVEL = { temperature: 25, vibration: 2, energy: 100, humidity: 45, pressure: 1013 }

Bun.gc(true)
const before = process.memoryUsage()
const state = { ...createState(), rules }
const outputs = createOutputs()
const keys = { sensor: () => 1, run: () => 1 }
const where = { topic: config.SENSOR_TOPIC, partition: 0, topicKey: 1 }
const processor = createProcessor(state, () => null, where, keys, 'bench')
let uniform = 1
const noise = () => ((uniform = (uniform * 48271) % 2147483647) / 2147483647 - 0.5) * 3
const started = process.cpuUsage()
for (let n = 0; n < readings; n++)
  for (let i = 0; i < sensors; i++) {
    const sensorType = SENSOR_TYPES[i % SENSOR_TYPES.length] ?? 'temperature'
    const reading: Reading = {
      sensorId: `sensor-${i}`,
      sensorType,
      unit: UNITS[sensorType],
      location: { factorySection: 'production', machineId: `machine-${i}`, zone: 'zone-a' },
      measuredAt: 1.79e15 + n * 3e6 + i,
      value: Math.round(100 * (LEVEL[sensorType] * (1 + 0.01 * noise()))) / 100,
      quality: 1,
      claimedLevel: null,
      warningThreshold: 35,
      criticalThreshold: 40,
      metadata: null,
    }
    const message = {
      offset: n * sensors + i,
      appendedAtMs: reading.measuredAt / 1000,
      key: null,
      value: null,
      headers: undefined,
    }
    processor.process(message, { source: reading.sensorId, readings: [reading], unknownFields: 0 }, null)
  }
const used = process.cpuUsage(started)
for (const id of state.sensors.keys()) {
  const mark = createMark()
  place(mark, 1, 1)
  state.marks.set(id, new Map([['run', mark]]))
}
Bun.gc(true)
const after = process.memoryUsage()
const bytesOf = (m: NodeJS.MemoryUsage) => m.heapUsed + m.external
const encoded = timed(() => encodeCheckpoint(state))
const decoded = timed(() => decodeCheckpoint(encoded.result, CHECKPOINT_VERSION))
const figures = {
  sensors,
  readings_a_sensor: readings,
  us_a_reading: round((used.user + used.system) / (sensors * readings)),
  memory_bytes_a_sensor: Math.round((bytesOf(after) - bytesOf(before)) / sensors),
  checkpoint_bytes_a_sensor: Math.round(encoded.result.length / sensors),
  encode_us_a_sensor: round((1000 * encoded.ms) / sensors),
  decode_us_a_sensor: round((1000 * decoded.ms) / sensors),
  restored: decoded.result?.state.sensors.size,
  raised: outputs.raised.length,
}
showFigures(figures)
console.log(JSON.stringify({ bench: 'checkpoint', ...figures, machine: machine() }, null, 2))

function timed<T>(work: () => T): { result: T; ms: number } {
  let best = Infinity
  let result = work()
  for (let i = 0; i < 3; i++) {
    const at = performance.now()
    result = work()
    best = Math.min(best, performance.now() - at)
  }
  return { result, ms: best }
}

function round(x: number): number {
  return Math.round(x * 100) / 100
}
