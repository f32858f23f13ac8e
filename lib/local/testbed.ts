import { join } from 'node:path'
import { sleep } from '../run.ts'
import { makeArchive } from './archive.ts'
import { findJava } from './java.ts'
import { kafkaParts, type KafkaNode } from './kafka.ts'
import type { Part } from './part.ts'
import { freePorts } from './ports.ts'
import { postgresPart, postgresUrl } from './postgres.ts'
import { COMPATIBLE_API, findRegistry, registryPart } from './registry.ts'
import { end, isAlive, launch, signal, type ProcessId, type Running } from './process.ts'
import { findOpensearch, findS3proxy, opensearchPart, s3proxyPart } from './stores.ts'

/**
 * The same Kafka and PostgreSQL on free ports, for tests and benchmarks: nobody restarts what they kill. Whoever starts
 * one stops it; the folder is theirs too.
 */
export interface TestServer {
  name: string
  port: number
  readonly pid: number
  isAlive(): boolean
  /** SIGKILL, as a power cut would */
  kill(): Promise<void>
  /** SIGSTOP and SIGCONT: frozen, its connections open */
  pause(): void
  resume(): void
  /** asks it to end and waits */
  stop(): Promise<void>
  /** starts it again on the same data and port, and waits until it serves */
  start(): Promise<void>
}

export interface TestKafka {
  brokers: string[]
  nodes: TestServer[]
  stop(): Promise<void>
}

export interface TestPostgres extends TestServer {
  url: string
}

const READY_MS = 90_000 // 4 s on a quiet machine; fifty seconds were seen with thirty other processes wanting two cores

export interface TestOptions {
  /** data and logs; the caller's, also to delete */
  dir: string
  /** compiled as fully as the product's own, which starts slower and serves faster: for benchmarks */
  longLived?: boolean
  /** told of every process that is started */
  onStart?: (id: ProcessId) => void
}

export async function startTestKafka(options: TestOptions & { nodes: 1 | 3 }): Promise<TestKafka> {
  const java = await makeArchive(await findJava())
  const ports = await freePorts(2 * options.nodes)
  const nodes: KafkaNode[] = Array.from({ length: options.nodes }, (_, i) => ({
    id: i + 1,
    port: ports[2 * i] ?? 0,
    controllerPort: ports[2 * i + 1] ?? 0,
  }))
  const parts = kafkaParts({ dir: options.dir, nodes, java, shortLived: !options.longLived })
  const servers = parts.map((part) => testServer(part, options))
  const stop = async () => {
    await Promise.all(servers.map((server) => server.stop()))
  }
  try {
    await Promise.all(servers.map((server) => server.start()))
  } catch (error) {
    await stop()
    throw error
  }
  return { brokers: nodes.map((node) => `localhost:${node.port}`), nodes: servers, stop }
}

export async function startTestPostgres(options: TestOptions): Promise<TestPostgres> {
  const [port = 0] = await freePorts(1)
  const access = { port, user: 'factory_user', password: 'factory_pass', database: 'factory_monitoring' }
  const server = testServer(postgresPart({ dir: options.dir, ...access }), options)
  await server.start()
  return Object.assign(server, { url: postgresUrl(access) })
}

export async function startTestSearch(options: TestOptions): Promise<TestServer & { url: string }> {
  const [port = 0] = await freePorts(1)
  const server = testServer(
    opensearchPart({ dir: options.dir, port, program: await findOpensearch() }),
    options,
  )
  await server.start()
  return Object.assign(server, { url: `http://localhost:${port}` })
}

/** Whoever asks is minioadmin, as in the containers. */
export async function startTestStorage(options: TestOptions): Promise<TestServer & { url: string }> {
  const [port = 0] = await freePorts(1)
  const access = { accessKeyId: 'minioadmin', secretAccessKey: 'minioadmin' }
  const part = s3proxyPart({ dir: options.dir, port, program: await findS3proxy(), ...access })
  const server = testServer(part, options)
  await server.start()
  return Object.assign(server, { url: `http://localhost:${port}` })
}

/** `url`: of its Confluent API */
export async function startTestRegistry(options: TestOptions): Promise<TestServer & { url: string }> {
  const program = await findRegistry()
  const [port = 0] = await freePorts(1)
  const server = testServer(registryPart({ dir: options.dir, port, program }), options)
  await server.start()
  return Object.assign(server, { url: `http://127.0.0.1:${port}${COMPATIBLE_API}` })
}

function testServer(part: Part, { dir, onStart }: TestOptions): TestServer {
  let running: Running | null = null
  const current = (): Running => {
    if (!running) throw new Error(`Cannot reach ${part.name}: it was never started`)
    return running
  }
  return {
    name: part.name,
    port: part.ports[0]?.port ?? 0,
    get pid() {
      return current().pid
    },
    isAlive: () => running !== null && isAlive(running),
    async kill() {
      await end(current(), { signal: 'SIGKILL', graceMs: 5000 })
    },
    pause: () => void signal(current(), 'SIGSTOP'),
    resume: () => void signal(current(), 'SIGCONT'),
    async stop() {
      if (running) await end(running, part.stop)
    },
    async start() {
      if (running && isAlive(running)) return
      await part.prepare()
      const log = join(dir, 'logs', `${part.name}.log`)
      running = launch(part.start(), log)
      onStart?.(running)
      await untilReady(part, running, log).catch(async (error: unknown) => {
        await end(current(), { signal: 'SIGKILL', graceMs: 5000 })
        throw error
      })
    },
  }
}

async function untilReady(part: Part, running: Running, log: string): Promise<void> {
  const deadline = performance.now() + READY_MS
  while (!(await part.ready())) {
    if (!isAlive(running)) throw new Error(`Cannot start ${part.name}: it ended: see ${log}`)
    if (performance.now() > deadline) {
      throw new Error(`Cannot start ${part.name}: not ready after ${READY_MS / 1000} s: see ${log}`)
    }
    await sleep(50)
  }
}
