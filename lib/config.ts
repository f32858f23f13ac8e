import { z } from 'zod'
import {
  about,
  brokers,
  choice,
  count,
  decimal,
  duration,
  list,
  name,
  port,
  positive,
  size,
  text,
  tokens,
  webUrl,
} from './kinds.ts'
import { LOG_LEVELS } from './log.ts'
import { SENSOR_TYPES } from './reading.ts'
import { EXIT, Stop } from './run.ts'
import { loginHalfTold, withSecretFiles } from './secrets.ts'
import { databaseVariables, storeVariables } from './stores.ts'

/** as lib/detect/vibration.ts knows them (a test holds the two lists equal) */
const MACHINE_CLASSES = [
  'class-1',
  'class-2',
  'class-3',
  'class-4',
  'group-1-rigid',
  'group-1-flexible',
  'group-2-rigid',
  'group-2-flexible',
] as const

const thresholds = (type: string, warning: string, critical: string, unit: string, interval: string) =>
  ({
    interval: about(duration.optional(), 'Fleet factory', `Interval of ${type} sensors; default ${interval}`),
    warning: about(decimal.default(+warning), 'Limits', `${type} ${unit}: high (warning)`),
    critical: about(decimal.default(+critical), 'Limits', `${type} ${unit}: high-high (critical)`),
  }) as const
const temperature = thresholds('temperature', '35', '40', '°C', '3s')
const vibration = thresholds('vibration', '5', '7', 'mm/s', '4s')
const energy = thresholds('energy', '150', '180', 'kW', '10s')
const humidity = thresholds('humidity', '60', '65', '%', '5s')
const pressure = thresholds('pressure', '1040', '1045', 'hPa', '6s')

/**
 * Every variable of the environment, its default and its meaning: the one schema behind all programs, `.env.example`
 * (a test holds them equal) and `--print-config`. Bun reads `.env` by itself; flags of a command win over both.
 */
export const environment = z.object({
  FLEET: about(
    choice(['factory', 'soda', 'iot', 'all']).default('factory'),
    'Start',
    'Which fleets run: factory, soda, iot or all',
  ),
  PORT_OFFSET: about(
    count.max(40_000).default(0),
    'Start',
    'Added to every default port, so that two plants fit on one machine',
  ),
  STATE_DIR: about(text.default('.factory'), 'Start', 'Where the local stack keeps data, logs and pid files'),
  CONSUMERS: about(positive.max(100).default(3), 'Start', 'Consumers that `bun start` runs'),

  KAFKA_BROKERS: about(
    brokers.optional(),
    'Kafka',
    'Bootstrap servers; default localhost:9092,localhost:9094,localhost:9096 (plus PORT_OFFSET)',
  ),
  SENSOR_TOPIC: about(text.default('sensor-data'), 'Kafka', 'Readings of fleet factory'),
  ALERT_TOPIC: about(text.default('alerts'), 'Kafka', 'Transitions of alarms'),
  CONSUMER_GROUP: about(text.default('sensor-processors'), 'Kafka', 'Group that shares the partitions'),
  TOPIC_REPLICATION: about(
    positive.max(9).default(3),
    'Kafka',
    'Copies of each partition; min.insync.replicas is 2 where this is 2 or more',
  ),
  KAFKA_SASL_MECHANISM: about(
    choice(['scram-sha-512', 'scram-sha-256', 'plain']).optional(),
    'Kafka',
    'How to log in to Kafka: scram-sha-512, scram-sha-256 or plain; without it nobody logs in',
  ),
  KAFKA_SASL_USERNAME: about(text.optional(), 'Kafka', 'Who logs in'),
  KAFKA_SASL_PASSWORD: about(text.optional(), 'Kafka', 'Password of that user', true),
  KAFKA_SSL: about(choice(['on', 'off']).default('off'), 'Kafka', 'on: TLS; also where KAFKA_SSL_CA is set'),
  KAFKA_SSL_CA: about(
    text.optional(),
    'Kafka',
    'Certificate (PEM) of the authority that signed the brokers’',
    true,
  ),
  KAFKA_SSL_CERT: about(text.optional(), 'Kafka', 'Certificate (PEM) that we show the brokers', true),
  KAFKA_SSL_KEY: about(text.optional(), 'Kafka', 'Key (PEM) of that certificate', true),

  ...databaseVariables,

  PRODUCER_ID: about(name.optional(), 'Producer', 'Name of this producer; default plant, or its SENSOR_TYPE'),
  SPOOL_DIR: about(text.optional(), 'Producer', 'Where accepted readings wait; default STATE_DIR/spool'),
  SPOOL_MAX_SIZE: about(
    size.default(256 * 1024 ** 2),
    'Producer',
    'Room for unsent readings; default 256MiB',
  ),
  SPOOL_WHEN_FULL: about(
    choice(['block', 'drop-oldest']).default('block'),
    'Producer',
    'block: the fleet waits; drop-oldest: the oldest unsent are given up, counted and named',
  ),
  SEED: about(count.default(1), 'Producer', 'Seed of the simulation: same seed and clock, same readings'),

  SENSOR_TYPE: about(
    choice(SENSOR_TYPES).optional(),
    'Fleet factory',
    'Only sensors of this type; without it the whole plant',
  ),
  SENSOR_ID: about(name.optional(), 'Fleet factory', 'One sensor of this id instead of the plant’s'),
  SAMPLING_INTERVAL: about(
    duration.optional(),
    'Fleet factory',
    'Interval of all sensors, over the ones per type',
  ),
  TEMPERATURE_INTERVAL: temperature.interval,
  VIBRATION_INTERVAL: vibration.interval,
  ENERGY_INTERVAL: energy.interval,
  HUMIDITY_INTERVAL: humidity.interval,
  PRESSURE_INTERVAL: pressure.interval,
  FACTORY_SECTION: about(text.default('production'), 'Fleet factory', 'Section, for SENSOR_ID'),
  MACHINE_ID: about(text.default('machine-001'), 'Fleet factory', 'Machine, for SENSOR_ID'),
  ZONE: about(text.default('zone-a'), 'Fleet factory', 'Zone, for SENSOR_ID'),

  SODA_CONFIG: about(
    text.default('config/factory_config.json'),
    'Fleet soda',
    'Which soda each line makes, how many, on which sensor',
  ),
  SODA_FACTORIES: about(
    positive.max(1000).optional(),
    'Fleet soda',
    'Factories F1 to FN; without it F1 to F3 and what else SODA_CONFIG names',
  ),
  SODA_TOPIC: about(text.default('SENSOR_READINGS'), 'Fleet soda', 'Readings of production lines'),
  SODA_HEARTBEAT_TOPIC: about(
    text.default('SENSOR_HEARTBEAT'),
    'Fleet soda',
    'Signs of life of their sensors',
  ),
  SODA_CYCLE: about(
    duration.default(3500),
    'Fleet soda',
    'Planned time for one item: what a line’s pace is compared with; default 3.5s, the middle of 2 to 5',
  ),
  SODA_GOOD_FROM: about(
    count.max(100).default(10),
    'Fleet soda',
    'Items that measure fewer points than this count as rejects',
  ),

  SENSOR_COUNT: about(positive.default(1000), 'Fleet iot', 'Devices'),
  SENSOR_INTERVAL: about(duration.default(2000), 'Fleet iot', 'Interval of each device; default 2s'),
  SCHEMA_REGISTRY_URL: about(
    webUrl.optional(),
    'Fleet iot',
    'Confluent API of the schema registry; default http://localhost:8081/apis/ccompat/v7 (plus PORT_OFFSET)',
    true,
  ),
  MAX_TEMPERATURE: about(decimal.default(50), 'Fleet iot', 'High limit of device temperature, °C'),
  MIN_HUMIDITY: about(decimal.default(10), 'Fleet iot', 'Low limit of device humidity, %'),

  CONSUMER_ID: about(name.default('consumer-1'), 'Consumer', 'Name of this consumer'),
  MAX_SENSORS: about(
    positive.optional(),
    'Consumer',
    'Unknown sensors are registered up to this number, others become dead letters; default 10000 and two for each of SENSOR_COUNT',
  ),
  TEMPERATURE_WARNING_THRESHOLD: temperature.warning,
  TEMPERATURE_CRITICAL_THRESHOLD: temperature.critical,
  VIBRATION_WARNING_THRESHOLD: vibration.warning,
  VIBRATION_CRITICAL_THRESHOLD: vibration.critical,
  ENERGY_WARNING_THRESHOLD: energy.warning,
  ENERGY_CRITICAL_THRESHOLD: energy.critical,
  HUMIDITY_WARNING_THRESHOLD: humidity.warning,
  HUMIDITY_CRITICAL_THRESHOLD: humidity.critical,
  PRESSURE_WARNING_THRESHOLD: pressure.warning,
  PRESSURE_CRITICAL_THRESHOLD: pressure.critical,
  RULES_FILE: about(
    text.default('config/rules.yaml'),
    'Limits',
    'The rule book: seeded into PostgreSQL as a new version whenever it or a variable in it changes',
  ),
  VIBRATION_MACHINE_CLASS: about(
    choice(MACHINE_CLASSES).default('group-2-flexible'),
    'Limits',
    'Class of the machines after ISO 10816-1 (class-1…4) or 20816-3 (group-1/2-rigid/flexible)',
  ),
  ENERGY_PRICE_PER_KWH: about(
    decimal.min(0).optional(),
    'Limits',
    'Price of a kWh: an alarm about energy then says what the excess costs',
  ),
  READINGS_RETENTION_DAYS: about(
    positive.default(30),
    'Consumer',
    'Days of readings kept; older daily partitions are dropped',
  ),

  ...storeVariables,

  WEBHOOK_URL: about(
    webUrl.optional(),
    'Notifications',
    'Each transition of an alarm is posted here as JSON, in order for each alarm, until it is taken',
  ),
  WEBHOOK_SECRET: about(
    text.optional(),
    'Notifications',
    'Signs each post: header x-factory-signature is sha256=HMAC of timestamp, a dot and the body',
    true,
  ),
  ALERTMANAGER_URL: about(
    webUrl.optional(),
    'Notifications',
    'Alertmanager (API v2) that is told of open and ended alarms, such as http://localhost:9093',
  ),

  MONITORING_HOST: about(text.default('127.0.0.1'), 'Monitor', 'Address that the monitor listens on'),
  MONITORING_PORT: about(port.optional(), 'Monitor', 'Port of the monitor; default 5000 (plus PORT_OFFSET)'),
  MONITORING_AUTH: about(
    choice(['on', 'off']).default('on'),
    'Monitor',
    'on: an address that is not loopback needs MONITORING_TOKENS; off: whoever reaches the port may read and act',
  ),
  MONITORING_TOKENS: about(
    tokens.optional(),
    'Monitor',
    'Who may do what, with commas or line breaks: ROLE:TOKEN or ROLE:NAME:TOKEN; viewer reads, operator handles alarms, admin changes rules',
    true,
  ),
  MONITORING_TOKEN: about(
    z.string().min(16).optional(),
    'Monitor',
    'One token of role admin, beside those',
    true,
  ),
  MONITORING_SESSION: about(
    duration.default(12 * 3_600_000),
    'Monitor',
    'A browser that has logged in is known for so long; default 12h',
  ),
  MONITORING_PROXY: about(
    list,
    'Monitor',
    'Addresses of proxies that log people in: their x-forwarded-user and x-forwarded-role are believed',
  ),
  MONITORING_RATE: about(positive.default(50), 'Monitor', 'Requests a second that one address may send'),
  MONITORING_BURST: about(positive.default(200), 'Monitor', 'Requests that one address may send at once'),
  MONITORING_STREAMS: about(positive.default(1000), 'Monitor', 'Live streams open at once'),
  MONITORING_STREAMS_PER_CLIENT: about(positive.default(20), 'Monitor', 'Live streams of one address'),
  MONITORING_TRUSTED: about(
    list,
    'Monitor',
    'Addresses without these limits, with commas (this machine never has them)',
  ),
  METRICS_PORT: about(
    port.optional(),
    'Monitor',
    'Port of this process’s /metrics; without it none is opened',
  ),
  METRICS_HOST: about(
    text.default('127.0.0.1'),
    'Monitor',
    'Address that /metrics of producers and consumers listens on',
  ),

  LOG_LEVEL: about(choice(LOG_LEVELS).default('INFO'), 'Logs', 'DEBUG, INFO, WARN or ERROR'),
  LOG_FILE: about(text.optional(), 'Logs', 'JSON lines go here too, rotated at 10 MB'),
  ALIVE_FILE: about(
    text.optional(),
    'Logs',
    'Touched every second while the process makes progress: its age is the health of a container',
  ),
})

export type Environment = z.infer<typeof environment>
/** The environment with the defaults that depend on other variables filled in. */
export type Config = Environment &
  Required<
    Pick<
      Environment,
      | 'KAFKA_BROKERS'
      | 'DATABASE_URL'
      | 'MONITORING_PORT'
      | 'MAX_SENSORS'
      | 'SPOOL_DIR'
      | 'SCHEMA_REGISTRY_URL'
      | 'ELASTICSEARCH_URL'
      | 'S3_ENDPOINT'
    >
  >

/** Parses the environment; every fault is in the one message. Throws Stop with exit code 78. */
export function parseConfig(env: Record<string, string | undefined> = process.env): Config {
  const { given, faults } = withSecretFiles(env, environment.shape)
  const parsed = environment.safeParse(given)
  for (const issue of parsed.error?.issues ?? []) {
    const key = String(issue.path[0])
    const secret = environment.shape[key as keyof Environment]?.meta()?.secret
    faults.push(`${key} ${issue.message}: got ${secret ? '(secret)' : JSON.stringify(given[key])}`)
  }
  faults.push(...limitsOutOfOrder(given), ...loginHalfTold(given))
  if (parsed.success && faults.length === 0) return withDerived(parsed.data)
  throw new Stop(
    `Cannot start: the configuration has ${faults.length} fault(s)\n${faults.map((f) => `  ${f}`).join('\n')}`,
    EXIT.config,
  )
}

/** A warning comes before what it warns of. */
function limitsOutOfOrder(given: Record<string, string | undefined>): string[] {
  return SENSOR_TYPES.flatMap((type) => {
    const key = `${type.toUpperCase() as Uppercase<typeof type>}_WARNING_THRESHOLD` as const
    const criticalKey = `${type.toUpperCase() as Uppercase<typeof type>}_CRITICAL_THRESHOLD` as const
    const warning = environment.shape[key].safeParse(given[key])
    const critical = environment.shape[criticalKey].safeParse(given[criticalKey])
    if (!warning.success || !critical.success || warning.data < critical.data) return []
    return [`${key} must be below ${criticalKey} (${critical.data}): got ${warning.data}`]
  })
}

function withDerived(env: Environment): Config {
  const at = (base: number) => base + env.PORT_OFFSET
  const user = encodeURIComponent(env.POSTGRES_USER)
  const password = encodeURIComponent(env.POSTGRES_PASSWORD)
  const host = `${env.POSTGRES_HOST}:${env.POSTGRES_PORT ?? at(5432)}`
  return {
    ...env,
    KAFKA_BROKERS: env.KAFKA_BROKERS ?? [9092, 9094, 9096].map((p) => `localhost:${at(p)}`),
    DATABASE_URL: env.DATABASE_URL ?? `postgresql://${user}:${password}@${host}/${env.POSTGRES_DB}`,
    MONITORING_PORT: env.MONITORING_PORT ?? at(5000),
    MAX_SENSORS: env.MAX_SENSORS ?? 10_000 + 2 * env.SENSOR_COUNT,
    SPOOL_DIR: env.SPOOL_DIR ?? `${env.STATE_DIR}/spool`,
    SCHEMA_REGISTRY_URL: env.SCHEMA_REGISTRY_URL ?? `http://localhost:${at(8081)}/apis/ccompat/v7`,
    ELASTICSEARCH_URL: env.ELASTICSEARCH_URL ?? `http://localhost:${at(9200)}`,
    S3_ENDPOINT: env.S3_ENDPOINT ?? `http://localhost:${at(9000)}`,
  }
}
