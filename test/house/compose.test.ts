import { describe, expect, test } from 'bun:test'
import { serverProperties } from '../../lib/local/kafka.ts'
import { MONITOR_RUNTIME } from '../../lib/local/plan.ts'
import { SENSOR_TYPES } from '../../lib/reading.ts'
import { faultsOf, RULES, type Compose } from './compose-rules.ts'
import { files, read, ROOT } from './source.ts'

const compose = Bun.YAML.parse(read('compose.yaml')) as Compose
const { services } = compose
const of = (name: string) => {
  const service = services[name]
  if (!service) throw new Error(`Cannot find the service: compose.yaml has no "${name}"`)
  return service
}

describe('compose.yaml', () => {
  test('every service keeps every rule', () => {
    expect(faultsOf(compose)).toEqual([])
  })

  test('a producer for each sensor type, three consumers, three brokers, under the names people type', () => {
    for (const type of SENSOR_TYPES) {
      expect(of(`${type}-sensor`)).toMatchObject({
        container_name: `${type}-sensor`,
        command: ['producer.ts'],
        environment: { SENSOR_TYPE: type, PRODUCER_ID: `${type}-sensor`, METRICS_PORT: 2112 },
      })
    }
    for (const [i, id] of ['consumer-1', 'consumer-2', 'consumer-3'].entries()) {
      expect(of(id)).toMatchObject({
        container_name: id,
        command: ['consumer.ts'],
        environment: { CONSUMER_ID: id, METRICS_PORT: 2113 + i, METRICS_HOST: '0.0.0.0' },
      })
    }
    for (const id of ['kafka1', 'kafka2', 'kafka3']) expect(of(id)).toMatchObject({ container_name: id })
  })

  test('programs run under the same settings of Bun as with `bun start`', () => {
    const image = read('Dockerfile').matchAll(/([A-Za-z_]+)=(\S+)/g)
    const there = { ...Object.fromEntries([...image].map((m) => [m[1], m[2]])), ...of('monitor').environment }
    expect(there).toMatchObject(MONITOR_RUNTIME)
  })

  test('profile iot adds the registry and a thousand devices; consumers and the monitor know every fleet', () => {
    const added = Object.keys(services).filter((name) => services[name]?.profiles?.includes('iot'))
    expect(added.sort()).toEqual(['iot', 'registry'])
    expect(of('iot')).toMatchObject({ command: ['producer.ts'], environment: { FLEET: 'iot' } })
    const url = 'http://registry:8081/apis/ccompat/v7'
    for (const name of ['init', 'iot', 'consumer-1', 'monitor', 'verify']) {
      expect(of(name).environment).toMatchObject({ SCHEMA_REGISTRY_URL: url })
    }
    for (const name of ['init', 'consumer-1', 'consumer-2', 'consumer-3', 'monitor']) {
      expect(of(name).environment).toMatchObject({ FLEET: 'all' })
    }
  })

  test('profile sinks: who writes into the stores and who verifies them know where they are', () => {
    const stores = { ELASTICSEARCH_URL: 'http://elasticsearch:9200', S3_ENDPOINT: 'http://minio:9000' }
    for (const name of ['sink-elasticsearch', 'sink-s3', 'verify'])
      expect(of(name).environment).toMatchObject(stores)
  })

  test('ports are those of the contract', () => {
    const ports = Object.entries(services).flatMap(([name, s]) =>
      (s.ports ?? []).map((p) => [name, String(p)]),
    )
    expect(Object.fromEntries(ports)).toEqual({
      kafka1: '127.0.0.1:9092:9092',
      kafka2: '127.0.0.1:9094:9094',
      kafka3: '127.0.0.1:9096:9096',
      postgres: '127.0.0.1:${POSTGRES_PORT:-5432}:5432',
      monitor: '127.0.0.1:${MONITORING_PORT:-5000}:5000',
      'kafka-ui': '127.0.0.1:8080:8080',
      registry: '127.0.0.1:8081:8081',
      elasticsearch: '127.0.0.1:9200:9200',
      minio: '127.0.0.1:9001:9001', // beside 9000
      prometheus: '127.0.0.1:9090:9090',
      grafana: '127.0.0.1:3000:3000',
    })
  })

  test('without a profile it starts infrastructure, the factory, consumers and the monitor', () => {
    const always = Object.keys(services).filter((name) => !services[name]?.profiles)
    expect(always.sort()).toEqual(
      [
        ...[
          'kafka1',
          'kafka2',
          'kafka3',
          'postgres',
          'init',
          'monitor',
          'consumer-1',
          'consumer-2',
          'consumer-3',
        ],
        ...SENSOR_TYPES.map((type) => `${type}-sensor`),
      ].sort(),
    )
  })

  test('profile soda adds the production lines, which end when their targets are met', () => {
    const added = Object.keys(services).filter((name) => services[name]?.profiles?.includes('soda'))
    expect(added).toEqual(['soda'])
    expect(of('soda')).toMatchObject({
      container_name: 'soda',
      command: ['producer.ts'],
      profiles: ['soda', 'all'],
      restart: 'on-failure', // exit 0: met; 75: Kafka was away, the next start sends the rest
      environment: { FLEET: 'soda', PRODUCER_ID: 'soda' },
      volumes: ['spool:/data/spool', 'logs:/data/logs'],
    })
    for (const name of ['init', 'consumer-1', 'consumer-2', 'consumer-3', 'monitor'])
      expect(of(name).environment).toMatchObject({ FLEET: 'all' })
  })

  test('the brokers keep what they acknowledge: three copies, two in sync, no unclean leader, no accidental topic', () => {
    for (const id of ['kafka1', 'kafka2', 'kafka3']) {
      expect(of(id).environment).toMatchObject({
        KAFKA_DEFAULT_REPLICATION_FACTOR: 3,
        KAFKA_MIN_INSYNC_REPLICAS: 2,
        KAFKA_UNCLEAN_LEADER_ELECTION_ENABLE: 'false',
        KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false',
        KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: 3,
        KAFKA_TRANSACTION_STATE_LOG_MIN_ISR: 2,
      })
    }
  })

  test('the brokers are set as those of `bun start`, addresses and sizes aside', () => {
    const node = { id: 1, port: 9092, controllerPort: 9093 }
    const others = [2, 3].map((id) => ({ id, port: 9092 + id, controllerPort: 9192 + id }))
    const placed =
      /^(node\.id|process\.roles|listeners|advertised|controller|inter\.|listener\.|log\.dirs|num\.(io|network))/
    const local = serverProperties(node, [node, ...others], '/data')
      .trim()
      .split('\n')
      .map((line) => line.split('=') as [string, string])
      .filter(([key]) => !placed.test(key))
    const asVariable = (key: string) => `KAFKA_${key.toUpperCase().replaceAll('.', '_')}`
    const expected = Object.fromEntries(local.map(([key, value]) => [asVariable(key), value]))
    const given = Object.fromEntries(
      Object.entries(of('kafka1').environment ?? {}).map(([key, value]) => [key, String(value)]),
    )
    expect(given).toMatchObject(expected)
  })

  test('producers share the volume of spools, verify and the monitor only read it, consumers cannot see it', () => {
    const spoolOf = (name: string) => (of(name).volumes ?? []).filter((v) => String(v).startsWith('spool:'))
    for (const type of SENSOR_TYPES) expect(spoolOf(`${type}-sensor`)).toEqual(['spool:/data/spool'])
    expect(spoolOf('verify')).toEqual(['spool:/data/spool:ro'])
    expect(spoolOf('monitor')).toEqual(['spool:/data/spool:ro'])
    for (const id of ['consumer-1', 'consumer-2', 'consumer-3']) expect(spoolOf(id)).toEqual([])
  })

  test('the image has every folder that a program reads, and only what the builder may see', () => {
    const copied = [...read('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap((m) =>
      (m[1] ?? '').split(' '),
    )
    const folders = ['lib', 'sql', 'patches', 'config'].filter((f) => files(new RegExp(`^${f}/`)).length > 0)
    expect(copied).toEqual(expect.arrayContaining(folders))
    const allowed = read('.dockerignore')
      .split('\n')
      .flatMap((line) => line.match(/^!(.+)/)?.[1] ?? [])
    expect(copied.filter((path) => !allowed.includes(path))).toEqual([])
  })

  test('docker compose finds nothing wrong with it', async () => {
    if (!Bun.which('docker') || !Bun.spawnSync(['docker', 'compose', 'version']).success)
      return void console.warn('docker compose config: not asked, docker compose is not installed here')
    const child = Bun.spawn(['docker', 'compose', '--profile', '*', 'config', '--quiet'], {
      cwd: ROOT,
      stdout: 'pipe',
      stderr: 'pipe',
    })
    const said = (await new Response(child.stderr).text()).trim()
    expect({ said, code: await child.exited }).toEqual({ said: '', code: 0 })
  })
})

describe('the rules for compose.yaml', () => {
  const good = structuredClone(of('monitor'))
  /** what a careless edit would look like, by rule */
  const careless: Record<keyof typeof RULES, object> = {
    'published on loopback alone': { ports: ['5000:5000'] },
    'not root': { user: 'root' },
    'read-only file system': { read_only: false },
    'no capabilities': { cap_add: ['NET_ADMIN'] },
    'no new privileges': { security_opt: [] },
    'apart from the host': { network_mode: 'host' },
    'no socket of the engine': { volumes: ['/var/run/docker.sock:/var/run/docker.sock'] },
    'bounded memory': { mem_limit: undefined },
    'bounded processes': { pids_limit: -1 },
    'bounded logs': { logging: {} },
    'healthy means something': { healthcheck: { disable: true } },
    'starts again after a crash': { restart: 'on-failure' },
    'time to drain': { stop_grace_period: undefined },
    'a pinned image': { image: 'postgres:latest' },
    'waits for health, not for a start': { depends_on: { kafka1: { condition: 'service_started' } } },
    'volumes have names': { volumes: ['./data:/data'] },
  }

  test.each(Object.keys(RULES))('%s: is seen where it is broken, and only there', (rule) => {
    const whole = { services: { good }, volumes: compose.volumes }
    const broken = { ...whole, services: { good: { ...good, ...careless[rule] } } }
    expect(faultsOf(whole)).toEqual([])
    expect(faultsOf(broken).filter((fault) => fault.endsWith(`(${rule})`))).toHaveLength(1)
  })
})
