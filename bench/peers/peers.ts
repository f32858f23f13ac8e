import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'

/** What somebody would otherwise use to bring the same topic into the same PostgreSQL. */
export interface Peer {
  name: string
  /** what it is, and what it guarantees */
  is: string
  /** programs that it needs on the path */
  needs: readonly string[]
  /** makes it ready to run; the folder is kept for the next time */
  build(folder: string): Promise<void>
  /** ends by itself when all readings are stored, unless it is `endless` */
  command(folder: string): string[]
  /** it never ends: it is stopped when all readings are stored */
  endless?: true
  /** where it runs, where that matters */
  cwd?(folder: string): string
  env?: Record<string, string>
  /** where the value of a reading stands in its rows (SQL), if not in column `value` */
  value?: string
  /** its rows are not those of the topic: only their number is checked */
  hasOwnValues?: true
  /** so much slower than the rest that it gets no more readings than this */
  most?: number
}

const here = (path: string) => join(import.meta.dir, path)

export const PEERS: readonly Peer[] = [
  {
    name: 'go-goccy',
    is: 'franz-go + goccy/go-json + pgx CopyFrom, position in the transaction; one process, one connection',
    needs: ['go'],
    build: buildGo,
    command: (folder) => [join(folder, 'go-peer')],
    env: { JSON: 'goccy' },
  },
  {
    name: 'go-goccy-3',
    is: 'the same three times in one process: each has a partition and a connection of its own, without a group',
    needs: ['go'],
    build: buildGo,
    command: (folder) => [join(folder, 'go-peer')],
    env: { JSON: 'goccy', WORKERS: '3' },
  },
  {
    name: 'go',
    is: 'the first with encoding/json',
    needs: ['go'],
    build: buildGo,
    command: (folder) => [join(folder, 'go-peer')],
  },
  {
    name: 'python-orjson',
    is: 'confluent-kafka + orjson + psycopg COPY, at least once; one process',
    needs: ['python3'],
    build: buildPython,
    command: (folder) => [join(folder, 'python/bin/python'), here('python/copy_in.py'), 'orjson'],
  },
  {
    name: 'python',
    is: 'the same with json',
    needs: ['python3'],
    build: buildPython,
    command: (folder) => [join(folder, 'python/bin/python'), here('python/copy_in.py')],
  },
  {
    name: 'connect',
    is: 'Kafka Connect 4.3.1 with the JDBC sink of Debezium 3.5.0, INSERT from arrays, at least once',
    needs: ['java', 'mvn'],
    build: buildConnect,
    command: (folder) => [
      'java',
      '-Xmx2g',
      '-Dorg.slf4j.simpleLogger.defaultLogLevel=error',
      ...['-cp', join(folder, 'connect/worker/*'), 'org.apache.kafka.connect.cli.ConnectStandalone'],
      ...[here('connect/worker.properties'), here('connect/sink.properties')],
    ],
    cwd: (folder) => join(folder, 'connect'),
    endless: true,
  },
  {
    name: 'telegraf',
    is: 'Telegraf 1.37.2, three kafka_consumer inputs, COPY by its postgresql output, at least once',
    needs: ['go'],
    build: buildTelegraf,
    command: (folder) => [
      join(folder, 'telegraf'),
      ...['telegraf', 'input', 'input', 'input'].flatMap((name) => [
        '--config',
        here(`telegraf/${name}.conf`),
      ]),
    ],
    endless: true,
  },
  {
    name: 'kcat',
    is: 'the messages as they are, kcat into one COPY: nothing parsed, no position kept',
    needs: ['kcat', 'psql'],
    build: async () => {},
    command: () => [here('kcat.sh')],
    value: "alert_level::json ->> 'value'",
  },
  {
    name: 'bun-batches',
    is: 'kafkajs and postgres as patched here, an object a message, INSERT from arrays, at least once',
    needs: [],
    build: async () => {},
    command: () => [process.execPath, here('bun/batches.ts')],
  },
  {
    name: 'ready-rows',
    is: 'the limit: COPY of rows made ready before, 10,000 a transaction, without Kafka and JSON',
    needs: [],
    build: async () => {},
    command: () => [process.execPath, here('bun/ready-rows.ts')],
    hasOwnValues: true,
  },
  {
    name: 'tutorial',
    is: 'kafkajs eachMessage, one INSERT a message, at least once',
    needs: [],
    build: async () => {},
    command: () => [process.execPath, here('bun/tutorial.ts')],
    most: 20_000,
  },
]

/** Why it cannot run here; null where it can. */
export function missing(peer: Peer): string | null {
  const absent = peer.needs.filter((program) => Bun.which(program) === null)
  return absent.length > 0 ? `${absent.join(', ')} is not on the path` : null
}

async function buildGo(folder: string): Promise<void> {
  await program(['go', 'build', '-o', join(folder, 'go-peer'), '.'], here('go'))
}

async function buildPython(folder: string): Promise<void> {
  const home = join(folder, 'python')
  if (existsSync(join(home, 'bin/psycopg-is-there'))) return
  await program(['python3', '-m', 'venv', home], folder)
  await program([join(home, 'bin/pip'), 'install', '-q', '-r', here('python/requirements.txt')], folder)
  await Bun.write(join(home, 'bin/psycopg-is-there'), '')
}

/** What the worker brings must not lie in the plugin too: it would find two of each class. */
const OF_THE_WORKER =
  'com.fasterxml.jackson.core,org.apache.kafka,org.slf4j,org.lz4,com.github.luben,org.xerial.snappy'

async function buildConnect(folder: string): Promise<void> {
  const home = join(folder, 'connect')
  if (existsSync(join(home, 'plugins'))) return
  const fetch = (pom: string, into: string, ...more: string[]) =>
    program(
      [
        ...['mvn', '-q', '-B', '-f', here(`connect/${pom}`), 'dependency:copy-dependencies'],
        ...['-DincludeScope=runtime', `-DoutputDirectory=${join(home, into)}`, ...more],
      ],
      home,
    )
  await fetch('worker.xml', 'worker')
  await fetch('plugin.xml', 'new/debezium', `-DexcludeGroupIds=${OF_THE_WORKER}`)
  renameSync(join(home, 'new'), join(home, 'plugins'))
}

/** Only the plugins that are used: the whole does not pass Go's checksum database. */
async function buildTelegraf(folder: string): Promise<void> {
  if (existsSync(join(folder, 'telegraf'))) return
  const plugins = 'custom,inputs.kafka_consumer,outputs.postgresql,parsers.json_v2'
  const source = 'github.com/influxdata/telegraf/cmd/telegraf@v1.37.2'
  await program(['go', 'install', '-tags', plugins, source], folder, { GOBIN: folder })
}

async function program(argv: string[], cwd: string, env: Record<string, string> = {}): Promise<void> {
  mkdirSync(cwd, { recursive: true })
  const child = Bun.spawn(argv, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'pipe'] })
  const said = await new Response(child.stderr).text()
  if ((await child.exited) !== 0)
    throw new Error(`Cannot run ${argv.slice(0, 3).join(' ')}: ${said.slice(-400)}`)
}
