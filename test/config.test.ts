import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { environment, parseConfig } from '../lib/config.ts'
import { parseDuration } from '../lib/kinds.ts'
import { Stop } from '../lib/run.ts'
import { openDoor, until } from './door.ts'

const dir = mkdtempSync(join(tmpdir(), 'factory-config-'))
afterAll(() => rmSync(dir, { recursive: true }))

function faultsOf(env: Record<string, string>): Stop {
  try {
    parseConfig(env)
  } catch (error) {
    if (error instanceof Stop) return error
    throw error
  }
  throw new Error('Cannot find a fault: the configuration was taken')
}

describe('parseConfig()', () => {
  test('needs nothing: the defaults are the contract', () => {
    expect(parseConfig({})).toMatchObject({
      KAFKA_BROKERS: ['localhost:9092', 'localhost:9094', 'localhost:9096'],
      DATABASE_URL: 'postgresql://factory_user:factory_pass@localhost:5432/factory_monitoring',
      SENSOR_TOPIC: 'sensor-data',
      ALERT_TOPIC: 'alerts',
      CONSUMER_GROUP: 'sensor-processors',
      MONITORING_HOST: '127.0.0.1',
      MONITORING_PORT: 5000,
      TEMPERATURE_WARNING_THRESHOLD: 35,
      TEMPERATURE_CRITICAL_THRESHOLD: 40,
      PRESSURE_CRITICAL_THRESHOLD: 1045,
      SENSOR_INTERVAL: 2000,
      LOG_LEVEL: 'INFO',
    })
  })

  test('names every fault in one message, with what was seen', () => {
    const fault = faultsOf({
      KAFKA_BROKERS: 'kafka',
      LOG_LEVEL: 'loud',
      MONITORING_PORT: '0',
      SEED: '-1',
      SENSOR_TYPE: 'noise',
    })
    expect(fault.exitCode).toBe(78)
    expect(fault.message).toContain('5 fault(s)')
    for (const seen of [
      'KAFKA_BROKERS must be host:port',
      '"kafka"',
      'LOG_LEVEL',
      '"loud"',
      'MONITORING_PORT',
      'SEED',
      'SENSOR_TYPE',
    ]) {
      expect(fault.message).toContain(seen)
    }
  })

  test.each([
    [1, 'a port beyond 65535', { KAFKA_BROKERS: 'kafka1:99999' }, 'KAFKA_BROKERS'],
    [2, 'one good broker and one without a port', { KAFKA_BROKERS: 'a:1,b' }, 'KAFKA_BROKERS'],
    [3, 'a number with words', { MAX_SENSORS: '10 sensors' }, 'MAX_SENSORS'],
    [4, 'half a consumer', { CONSUMERS: '1.5' }, 'CONSUMERS'],
    [5, 'an endless limit', { TEMPERATURE_WARNING_THRESHOLD: 'Infinity' }, 'TEMPERATURE_WARNING_THRESHOLD'],
    [6, 'no number', { TEMPERATURE_CRITICAL_THRESHOLD: 'NaN' }, 'TEMPERATURE_CRITICAL_THRESHOLD'],
    [7, 'an interval of nothing', { SAMPLING_INTERVAL: '0s' }, 'SAMPLING_INTERVAL'],
    [8, 'an interval in fortnights', { SAMPLING_INTERVAL: '1 fortnight' }, 'SAMPLING_INTERVAL'],
    [9, 'a size in words', { SPOOL_MAX_SIZE: 'large' }, 'SPOOL_MAX_SIZE'],
    [10, 'another database', { DATABASE_URL: 'mysql://localhost/x' }, 'DATABASE_URL'],
    [11, 'a consumer with a space', { CONSUMER_ID: 'consumer 1' }, 'CONSUMER_ID'],
    [13, 'a user of Kafka without a password', { KAFKA_SASL_USERNAME: 'me' }, 'KAFKA_SASL_PASSWORD'],
    [14, 'a key without its certificate', { KAFKA_SSL_KEY: 'pem' }, 'KAFKA_SSL_CERT'],
    [15, 'a short token', { MONITORING_TOKENS: 'viewer:short' }, 'MONITORING_TOKENS'],
    [16, 'a role that nobody knows', { MONITORING_TOKENS: 'root:0123456789abcdef' }, 'MONITORING_TOKENS'],
    [
      12,
      'a warning limit above the critical one',
      { ENERGY_WARNING_THRESHOLD: '200' },
      'ENERGY_WARNING_THRESHOLD',
    ],
  ])('refuses %d. %s', (_number, _what, env, named) => {
    const fault = faultsOf(env as unknown as Record<string, string>)
    expect(fault.message).toContain('1 fault(s)')
    expect(fault.message).toContain(named)
  })

  test('tokens say role, name and secret; a fault does not repeat them', () => {
    const { MONITORING_TOKENS } = parseConfig({
      MONITORING_TOKENS: 'viewer:0123456789abcdef, operator:ada:fedcba9876543210\n',
    })
    expect(MONITORING_TOKENS).toEqual([
      { role: 'viewer', name: 'viewer', token: '0123456789abcdef' },
      { role: 'operator', name: 'ada', token: 'fedcba9876543210' },
    ])
    expect(faultsOf({ MONITORING_TOKENS: 'boss:0123456789abcdef' }).message).not.toContain('0123456789')
  })

  test('an empty variable counts as unset', () => {
    expect(parseConfig({ LOG_LEVEL: '', KAFKA_BROKERS: '' }).LOG_LEVEL).toBe('INFO')
  })

  test('many devices are no surprise to the consumers', () => {
    expect(parseConfig({}).MAX_SENSORS).toBe(12_000)
    expect(parseConfig({ SENSOR_COUNT: '100000' }).MAX_SENSORS).toBe(210_000)
    expect(parseConfig({ SENSOR_COUNT: '100000', MAX_SENSORS: '5' }).MAX_SENSORS).toBe(5)
  })

  test('PORT_OFFSET moves every default port, none that was given', () => {
    const config = parseConfig({ PORT_OFFSET: '100', MONITORING_PORT: '8000' })
    expect(config.KAFKA_BROKERS).toEqual(['localhost:9192', 'localhost:9194', 'localhost:9196'])
    expect(config.DATABASE_URL).toContain(':5532/')
    expect(config.SCHEMA_REGISTRY_URL).toContain(':8181/')
    expect(config.MONITORING_PORT).toBe(8000)
  })

  test('a database is made of its parts, whatever is in the password', () => {
    const { DATABASE_URL } = parseConfig({
      POSTGRES_HOST: 'db',
      POSTGRES_USER: 'me',
      POSTGRES_PASSWORD: 'p@ss/w:rd?',
    })
    expect(new URL(DATABASE_URL).hostname).toBe('db')
    expect(decodeURIComponent(new URL(DATABASE_URL).password)).toBe('p@ss/w:rd?')
  })

  test('a secret is read from its file, and never shown', () => {
    const file = join(dir, 'password')
    writeFileSync(file, 'from-a-file\n')
    expect(parseConfig({ POSTGRES_PASSWORD_FILE: file }).DATABASE_URL).toContain(':from-a-file@')
    writeFileSync(join(dir, 'url'), 'mysql://me:hidden@localhost/x')
    expect(faultsOf({ DATABASE_URL_FILE: join(dir, 'url') }).message).not.toContain('hidden')
  })

  test.each([
    ['localhost:8081', 'must be an address that begins with http:// or https://'],
    ['http://u:s3cr%t@localhost:8081', 'must have %25 for a percent sign in its user or password'],
    ['http://u:s3cr t@local host', 'must be an address'],
  ])(
    'an address of a registry that could not be asked is a fault, whose password is not shown: %s',
    (url, said) => {
      const { message } = faultsOf({ SCHEMA_REGISTRY_URL: url })
      expect(message).toContain(`SCHEMA_REGISTRY_URL ${said}`)
      expect(message).not.toContain('s3cr')
      expect(faultsOf({ WEBHOOK_URL: 'localhost:9000' }).message).toContain('WEBHOOK_URL must be an address')
    },
  )

  test('a login in an address is written as in every URL', () => {
    const url = 'http://u:p%25%40@localhost:8081'
    expect(parseConfig({ SCHEMA_REGISTRY_URL: url }).SCHEMA_REGISTRY_URL).toBe(url)
  })

  test('files that are not there, or no files, are faults beside the others', () => {
    const fault = faultsOf({
      POSTGRES_PASSWORD_FILE: '/nowhere/x',
      DATABASE_URL_FILE: dir,
      LOG_LEVEL: 'loud',
    })
    expect(fault.message).toContain('3 fault(s)')
    for (const seen of ['POSTGRES_PASSWORD_FILE', '/nowhere/x', 'DATABASE_URL_FILE', dir, 'LOG_LEVEL']) {
      expect(fault.message).toContain(seen)
    }
  })

  test('only secrets have files', () => {
    expect(parseConfig({ LOG_LEVEL_FILE: '/nowhere/x' }).LOG_LEVEL).toBe('INFO')
  })

  test('every variable has a section and a meaning', () => {
    for (const type of Object.values(environment.shape)) {
      expect(type.meta()).toMatchObject({ section: expect.any(String), meaning: expect.any(String) })
    }
  })
})

describe('a door with a wrong configuration', () => {
  test.each(['consumer.ts', 'producer.ts', 'monitor.ts'])(
    '%s ends with 78 and one message',
    async (file) => {
      const door = openDoor(file, { KAFKA_BROKERS: 'kafka', LOG_LEVEL: 'loud', STATE_DIR: dir })
      await until(`${file} to end`, async () => door.exitCode() !== null)
      const log = await door.log()
      expect(await door.stop()).toBe(78)
      expect(log.length).toBe(1)
      expect(String(log[0]?.['error.message'])).toContain('2 fault(s)')
    },
    60_000,
  )
})

describe('parseDuration()', () => {
  test.each([
    ['2', 2000],
    ['2s', 2000],
    ['500ms', 500],
    ['1.5s', 1500],
    ['1m', 60_000],
    ['1 h', 3_600_000],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })
})
