import { parseConfig, type Config } from '../config.ts'
import { EXIT, Stop } from '../run.ts'
import { chooseServer, type Choice } from './choose.ts'
import { askStatus, type StackStatus } from './control.ts'
import { kafkaNodes } from './kafka.ts'
import { localDatabase, needsRegistry, stateDir } from './plan.ts'
import { httpAnswers, kafkaAnswers, postgresAnswers, speaksHttp } from './probe.ts'
import { livingRecords } from './record.ts'

/** The configuration of the stack that runs in our state folder, or the environment's where none does. */
export async function stackConfig(overrides: Record<string, string> = {}): Promise<{
  config: Config
  status: StackStatus | null
}> {
  const env = { ...process.env, ...overrides }
  const config = parseConfig(env)
  const status = await askStatus(stateDir(config))
  if (!status) return { config, status }
  const ofStack = {
    PORT_OFFSET: String(status.portOffset),
    KAFKA_BROKERS: status.brokers.join(','),
    DATABASE_URL: status.databaseUrl,
    MONITORING_PORT: String(status.monitoringPort),
    FLEET: status.fleet,
    // once brought up they are part of it, whoever starts the rest
    ...(status.parts.some(({ name }) => name.startsWith('sink-')) ? { SINKS: 'on' } : {}),
  }
  return { config: parseConfig({ ...env, ...ofStack, ...overrides }), status }
}

/** Whose servers this configuration means. Throws Stop (69) where a named server does not answer. */
export async function chooseServers(
  config: Config,
): Promise<Record<'kafka' | 'postgres' | 'registry' | 'opensearch' | 's3proxy', Choice>> {
  const records = livingRecords(stateDir(config)).map((one) => one.name)
  const database = localDatabase(config)
  const host = new URL(config.DATABASE_URL).hostname
  const kafka = chooseServer({
    ownRuns: records.some((name) => name.startsWith('kafka')),
    isGiven: isSet('KAFKA_BROKERS'),
    isOwnAddress: sameBrokers(config),
    answers: isSet('KAFKA_BROKERS') && (await anyBrokerAnswers(config.KAFKA_BROKERS)),
  })
  const postgres = chooseServer({
    ownRuns: records.includes('postgres'),
    isGiven: isSet('DATABASE_URL') || isSet('POSTGRES_HOST'),
    isOwnAddress: isLoopback(host) && database.port === (config.POSTGRES_PORT ?? 5432 + config.PORT_OFFSET),
    answers: await postgresAnswers(host, database.port, database.user, database.database),
  })
  const byUrl = async (
    name: string,
    variable: 'SCHEMA_REGISTRY_URL' | 'ELASTICSEARCH_URL' | 'S3_ENDPOINT',
    ownPort: number,
    isNeeded: boolean,
    answers: () => Promise<boolean>,
  ) => {
    const { hostname, port, host: address } = new URL(config[variable])
    const choice = chooseServer({
      ownRuns: records.includes(name),
      isGiven: isSet(variable),
      isOwnAddress: isLoopback(hostname) && Number(port) === ownPort + config.PORT_OFFSET,
      answers: isNeeded && isSet(variable) && (await answers()),
    })
    if (choice === 'unreachable' && isNeeded) throw unreachable(variable, address)
    return choice
  }
  const sinks = config.SINKS === 'on'
  const [registry, opensearch, s3proxy] = await Promise.all([
    byUrl('registry', 'SCHEMA_REGISTRY_URL', 8081, needsRegistry(config), () => registryAnswers(config)),
    byUrl('opensearch', 'ELASTICSEARCH_URL', 9200, sinks, () => speaksHttp(config.ELASTICSEARCH_URL)),
    byUrl('s3proxy', 'S3_ENDPOINT', 9000, sinks, () => speaksHttp(config.S3_ENDPOINT)),
  ])
  if (kafka === 'unreachable') throw unreachable('KAFKA_BROKERS', config.KAFKA_BROKERS.join(','))
  if (postgres === 'unreachable') throw unreachable('DATABASE_URL', `${host}:${database.port}`)
  return { kafka, postgres, registry, opensearch, s3proxy }
}

/** true where a registry lists its subjects */
export function registryAnswers(config: Config): Promise<boolean> {
  return httpAnswers(`${config.SCHEMA_REGISTRY_URL.replace(/\/+$/, '')}/subjects`)
}

function unreachable(variable: string, address: string): Stop {
  return new Stop(
    `Cannot use ${variable}: nothing answers at ${address}: start that server, or unset ${variable} so that bun start brings up its own`,
    EXIT.unavailable,
  )
}

function isSet(variable: string): boolean {
  return (process.env[variable] ?? '') !== ''
}

function isLoopback(host: string): boolean {
  return ['localhost', '127.0.0.1', '[::1]', '::1'].includes(host)
}

function sameBrokers(config: Config): boolean {
  const own = kafkaNodes(config.PORT_OFFSET).map((node) => `localhost:${node.port}`)
  const given = config.KAFKA_BROKERS.map((broker) => broker.replace('127.0.0.1', 'localhost'))
  return own.length === given.length && own.every((address) => given.includes(address))
}

export async function anyBrokerAnswers(brokers: string[]): Promise<boolean> {
  const answers = await Promise.all(
    brokers.map((broker) => {
      const colon = broker.lastIndexOf(':')
      return kafkaAnswers(broker.slice(0, colon), Number(broker.slice(colon + 1)))
    }),
  )
  return answers.includes(true)
}
