import { basename, extname } from 'node:path'
import { parseArgs } from 'node:util'
import { createRegistry } from '../avro/registry.ts'
import { schemaText } from '../avro/schemas.ts'
import { createWriter } from '../avro/writer.ts'
import type { Config } from '../config.ts'
import { DEVICE_TOPIC } from '../device.ts'
import { createDevices } from '../fleet/devices.ts'
import type { Episode } from '../fleet/episodes.ts'
import type { Carried, Fleet, Measured } from '../fleet/fleet.ts'
import { totalRate } from '../fleet/layout.ts'
import { createPlant, plantOptions } from '../fleet/plant.ts'
import { createReplay } from '../fleet/replay.ts'
import { planSoda, readSodaPlan } from '../fleet/soda-plan.ts'
import { createSoda } from '../fleet/soda.ts'
import { plannedPartition } from '../kafka/partitioner.ts'
import { EXIT, Stop } from '../run.ts'
import { parseMicrosAssumingUtc, type Micros } from '../time.ts'

export const HELP = `bun run producer.ts: measures, keeps on disk what it has accepted, and sends it to Kafka.

  --fleet factory|soda|iot   who measures (default: FLEET): the plant's sensors, production lines with a target, or a
                             thousand devices in Avro
    --config FILE            soda: what each line makes (default: SODA_CONFIG)
    --factories N            soda: F1 to FN (default: SODA_FACTORIES, else F1 to F3 and what else the file names)
  --seed N                   seed of the simulation (default: SEED)
  --rate N                   load: so many messages a second in total
  --print N [--start TIME]   prints N readings on stdout instead of sending them; same seed and start, same bytes

  --replay FILE|-            a recording, or standard input, instead of the simulation
    --format csv|ndjson      default: by the name or the first character
    --sensor-id ID           default: the file's name
    --time-column NAME       --value-column NAME (may be repeated)
    --separator CHAR         one character, or tab; default: found in the file
    --speed 1|60|max         recorded time passes so many times as fast (default 1)
    --time shift|keep        shift (default): each row is stamped when it is sent, as live data;
                             keep: its own times, stored as history that alarms nobody
  --help                     this text

Everything else comes from the environment (.env.example).
exit 0 stopped or finished · 1 failed, start it again · 2 usage · 75 finished, but Kafka was away: the next start sends
what is still in the spool · 78 configuration`

const FLAGS = {
  fleet: { type: 'string' },
  config: { type: 'string' },
  factories: { type: 'string' },
  seed: { type: 'string' },
  rate: { type: 'string' },
  print: { type: 'string' },
  start: { type: 'string' },
  replay: { type: 'string' },
  format: { type: 'string' },
  'sensor-id': { type: 'string' },
  'time-column': { type: 'string' },
  'value-column': { type: 'string', multiple: true },
  separator: { type: 'string' },
  speed: { type: 'string' },
  time: { type: 'string' },
  help: { type: 'boolean' },
} as const

export type Flags = ReturnType<typeof parseFlags>

export function parseFlags(args: string[]) {
  try {
    return parseArgs({ args, options: FLAGS, strict: true }).values
  } catch (error) {
    throw usage(error instanceof Error ? error.message : String(error))
  }
}

/** Who measures, under which name, and how much is to be expected of it. */
export interface Choice {
  fleet: Fleet<Carried>
  producerId: string
  expectedPerSecond: number | null
  /** the text that stands for a message on standard output while Kafka is missing; null: it is not shown */
  shown?: (measured: Measured<Carried>) => string | null
}

export function chooseFleet(flags: Flags, config: Config, onEpisode: (episode: Episode) => void): Choice {
  if (flags.replay !== undefined) return chooseReplay(flags, flags.replay, config)
  const fleet = flags.fleet ?? (config.FLEET === 'all' ? 'factory' : config.FLEET)
  const rate = flags.rate === undefined ? null : positive('--rate', flags.rate)
  if (fleet === 'soda') return chooseSoda(flags, config)
  if (flags.config !== undefined || flags.factories !== undefined)
    throw usage(`--config and --factories are for --fleet soda: got --fleet ${fleet}`)
  if (fleet === 'iot') return chooseDevices(flags, config, rate, onEpisode)
  if (fleet !== 'factory') throw usage(`--fleet must be factory, soda or iot: got "${fleet}"`)
  const plant = createPlant({ ...plantOptions(config), seed: seedOf(flags, config), rate, onEpisode })
  const usual = config.SENSOR_TYPE ? `${config.SENSOR_TYPE}-sensor` : 'plant'
  return {
    fleet: plant,
    producerId: config.PRODUCER_ID ?? (rate === null ? usual : `${usual}-load`),
    expectedPerSecond: totalRate(plant.sensors.map((s) => s.plan)),
  }
}

function chooseSoda(flags: Flags, config: Config): Choice {
  if (flags.rate !== undefined)
    throw usage('--rate is for sensors and devices: lines have a pace of their own')
  const file = flags.config ?? config.SODA_CONFIG
  const seed = seedOf(flags, config)
  const plan = planSoda({ text: readSodaPlan(file), file, factories: factoriesOf(flags, config), seed })
  const topics = { readingsTopic: config.SODA_TOPIC, heartbeatTopic: config.SODA_HEARTBEAT_TOPIC }
  return {
    fleet: createSoda({ ...topics, plan, seed }),
    producerId: config.PRODUCER_ID ?? 'soda',
    expectedPerSecond: null, // lines end one after the other
    shown: (m) => (m.topic === topics.readingsTopic ? String(m.encode({ runId: '', seq: 0 })) : null),
  }
}

function factoriesOf(flags: Flags, config: Config): number | null {
  if (flags.factories === undefined) return config.SODA_FACTORIES ?? null
  const count = positive('--factories', flags.factories)
  if (!Number.isInteger(count) || count > 1000)
    throw usage(`--factories must be a whole number from 1 to 1000: got "${flags.factories}"`)
  return count
}

function chooseDevices(
  flags: Flags,
  config: Config,
  rate: number | null,
  onEpisode: (episode: Episode) => void,
): Choice {
  const registry = createRegistry(config.SCHEMA_REGISTRY_URL)
  const planned = plannedPartition(config)
  const devices = createDevices({
    seed: seedOf(flags, config),
    count: config.SENSOR_COUNT,
    intervalMs: config.SENSOR_INTERVAL,
    rate,
    limits: { maxTemperature: config.MAX_TEMPERATURE, minHumidity: config.MIN_HUMIDITY },
    partitionOf: (deviceId) => planned(DEVICE_TOPIC, deviceId),
    writer: createWriter(DEVICE_TOPIC, schemaText('SensorReading'), registry),
    onEpisode,
  })
  return {
    fleet: devices,
    producerId: config.PRODUCER_ID ?? (rate === null ? 'iot' : 'iot-load'),
    expectedPerSecond: devices.perSecond,
  }
}

function chooseReplay(flags: Flags, file: string, config: Config): Choice {
  const speed = flags.speed === 'max' ? 'max' : positive('--speed', flags.speed ?? '1')
  const fleet = createReplay({
    topic: config.SENSOR_TOPIC,
    file,
    format: oneOf('--format', flags.format, ['csv', 'ndjson'] as const) ?? null,
    sensorId: flags['sensor-id'] ?? null,
    location: {
      factorySection: config.FACTORY_SECTION,
      machineId: config.MACHINE_ID,
      zone: config.ZONE,
    },
    timeColumn: flags['time-column'] ?? null,
    valueColumns: flags['value-column'] ?? null,
    separator: flags.separator ?? null,
    speed,
    time: oneOf('--time', flags.time, ['shift', 'keep'] as const) ?? 'shift',
  })
  const name = flags['sensor-id'] ?? (file === '-' ? 'stdin' : basename(file, extname(file)))
  const word = name.replace(/[^A-Za-z0-9._:-]+/g, '-').slice(0, 56)
  return { fleet, producerId: config.PRODUCER_ID ?? `replay-${word}`, expectedPerSecond: null }
}

/** The first readings of the plant from a moment on, as the messages that they would be. */
export function* printed(flags: Flags, config: Config): Generator<string> {
  const fleet = flags.fleet ?? config.FLEET
  if (fleet !== 'factory' && fleet !== 'all') throw usage(`--print is for --fleet factory: got "${fleet}"`)
  const count = positive('--print', flags.print ?? '')
  const rate = flags.rate === undefined ? null : positive('--rate', flags.rate)
  const seed = seedOf(flags, config)
  const plant = createPlant({ ...plantOptions(config), seed, rate })
  const seqs = new Map<string, number>()
  let left = count
  for (const measured of plant.between(startOf(flags.start), Infinity)) {
    const seq = (seqs.get(measured.key) ?? 0) + 1
    seqs.set(measured.key, seq)
    yield String(measured.encode({ runId: `seed-${seed}`, seq }))
    if (--left === 0) return
  }
}

function startOf(text: string | undefined): Micros {
  if (text === undefined) return Date.now() * 1000
  const start = parseMicrosAssumingUtc(text)
  if (Number.isNaN(start))
    throw usage(`--start must be a date-time such as 2026-01-01T06:00:00Z: got "${text}"`)
  return start
}

function seedOf(flags: Flags, config: Config): string {
  return flags.seed ?? String(config.SEED)
}

function positive(flag: string, text: string): number {
  const value = Number(text)
  if (!(value > 0 && Number.isFinite(value))) throw usage(`${flag} must be a number above 0: got "${text}"`)
  return value
}

function oneOf<const T extends readonly string[]>(
  flag: string,
  text: string | undefined,
  words: T,
): T[number] | undefined {
  if (text !== undefined && !words.includes(text)) {
    throw usage(`${flag} must be ${words.join(' or ')}: got "${text}"`)
  }
  return text
}

function usage(what: string): Stop {
  return new Stop(`Cannot start: ${what}: bun run producer.ts --help shows the way`, EXIT.usage)
}
