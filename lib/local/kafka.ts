import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { javaEnvironment, type Java } from './java.ts'
import type { Part } from './part.ts'
import { kafkaAnswers } from './probe.ts'

const HEAP = ['-Xms64m', '-Xmx384m', '-XX:+UseSerialGC']
const QUIET = [
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
  '-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info',
  '-Dorg.slf4j.simpleLogger.showDateTime=true',
  '-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss,SSS',
]
/**
 * A controlled stop takes 2–6 s. The last node of a cluster may wait five minutes for a quorum that is gone; ending it
 * by force is safe, because everything acknowledged is in the page cache and is recovered from the log.
 */
const STOP_GRACE_MS = 12_000

export interface KafkaNode {
  id: number
  port: number
  controllerPort: number
}

/** The nodes of the product on this machine: brokers at 9092, 9094, 9096, controllers one above, all plus the offset. */
export function kafkaNodes(portOffset: number): KafkaNode[] {
  return [1, 2, 3].map((id) => {
    const port = 9090 + 2 * id + portOffset
    return { id, port, controllerPort: port + 1 }
  })
}

/** One part for each node: broker and controller in one process, data under `dir`/kafkaN. */
export function kafkaParts(options: {
  dir: string
  nodes: KafkaNode[]
  java: Java
  /** true: compile less, which starts sooner and serves slower: for short runs */
  shortLived?: boolean
}): Part[] {
  const { nodes, java } = options
  const jvm = [
    java.java,
    ...HEAP,
    ...(java.archive ? [`-XX:SharedArchiveFile=${java.archive}`, '-Xshare:auto'] : []),
    ...(options.shortLived ? ['-XX:TieredStopAtLevel=1'] : []),
    ...QUIET,
  ]
  return nodes.map((node) => {
    const home = resolve(options.dir, `kafka${node.id}`)
    const properties = join(home, 'server.properties')
    return {
      name: `kafka${node.id}`,
      layer: 'infra',
      mayFinish: false,
      ports: [
        { port: node.port, what: `Kafka node ${node.id}` },
        { port: node.controllerPort, what: `controller of Kafka node ${node.id}` },
      ],
      prepare: () => prepareNode(node, nodes, home, options.dir, java),
      start: () => ({
        argv: [...jvm, '-cp', java.classPath, 'kafka.Kafka', properties],
        env: javaEnvironment(),
        cwd: home,
      }),
      ready: () => kafkaAnswers('127.0.0.1', node.port),
      stop: { signal: 'SIGTERM', graceMs: STOP_GRACE_MS },
    }
  })
}

/** Settings of a node; durability as argued in the README: three copies, two of them needed for an acknowledgement. */
export function serverProperties(node: KafkaNode, nodes: KafkaNode[], home: string): string {
  const copies = Math.min(3, nodes.length)
  const settings: Record<string, string | number | boolean> = {
    'process.roles': 'broker,controller',
    'node.id': node.id,
    'controller.quorum.voters': nodes.map((n) => `${n.id}@127.0.0.1:${n.controllerPort}`).join(','),
    listeners: `PLAINTEXT://127.0.0.1:${node.port},CONTROLLER://127.0.0.1:${node.controllerPort}`,
    'advertised.listeners': `PLAINTEXT://localhost:${node.port}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'log.dirs': join(home, 'data'),
    'auto.create.topics.enable': false,
    'default.replication.factor': copies,
    'min.insync.replicas': Math.min(2, copies),
    'unclean.leader.election.enable': false,
    'replica.lag.time.max.ms': 10_000, // acks=all waits this long behind a follower that is cut off
    'broker.session.timeout.ms': 9000,
    'broker.heartbeat.interval.ms': 2000,
    'group.initial.rebalance.delay.ms': 100, // three consumers start together; waiting 3 s for them gains nothing
    'offsets.topic.replication.factor': copies,
    'offsets.topic.num.partitions': 3, // one group: fifty would only slow the first start down
    'transaction.state.log.replication.factor': copies,
    'transaction.state.log.min.isr': Math.min(2, copies),
    'transaction.state.log.num.partitions': 3,
    'share.coordinator.state.topic.replication.factor': copies,
    'share.coordinator.state.topic.min.isr': Math.min(2, copies),
    'log.message.timestamp.after.max.ms': 3_600_000,
    'log.cleaner.dedupe.buffer.size': 16 * 1024 * 1024, // of a heap of 384 MB
    'num.network.threads': 2,
    'num.io.threads': 4,
  }
  return (
    Object.entries(settings)
      .map(([key, value]) => `${key}=${value}`)
      .join('\n') + '\n'
  )
}

async function prepareNode(
  node: KafkaNode,
  nodes: KafkaNode[],
  home: string,
  dir: string,
  java: Java,
): Promise<void> {
  mkdirSync(home, { recursive: true })
  writeFileSync(join(home, 'server.properties'), serverProperties(node, nodes, home))
  if (existsSync(join(home, 'formatted'))) return
  rmSync(join(home, 'data'), { recursive: true, force: true }) // a format that was cut off
  await runTool(
    java,
    ['kafka.tools.StorageTool', 'format', '-t', clusterId(dir), '-c', 'server.properties'],
    home,
  )
  writeFileSync(join(home, 'formatted'), '')
}

/** One id for all nodes of a state folder: 16 random bytes as URL-safe base64, as Kafka wants it. */
function clusterId(dir: string): string {
  const file = join(dir, 'kafka-cluster-id')
  if (!existsSync(file)) {
    const id = randomBytes(16).toString('base64url').replace(/^-/, 'k') // a leading dash would be read as an option
    try {
      writeFileSync(file, id, { flag: 'wx' })
    } catch {
      // another node's preparation wrote it in this moment
    }
  }
  return readFileSync(file, 'utf8').trim()
}

async function runTool(java: Java, args: string[], cwd: string): Promise<void> {
  const shared = java.archive ? [`-XX:SharedArchiveFile=${java.archive}`] : []
  const child = Bun.spawn(
    [
      java.java,
      ...shared,
      '-Xmx128m',
      '-XX:+UseSerialGC',
      '-XX:TieredStopAtLevel=1',
      ...QUIET,
      '-cp',
      java.classPath,
      ...args,
    ],
    { cwd, env: javaEnvironment(), stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' },
  )
  const stderr = await new Response(child.stderr).text()
  if ((await child.exited) !== 0) {
    throw new Error(
      `Cannot prepare Kafka: ${args[0]} ended with ${child.exitCode}: ${stderr.trim().slice(-2000)}`,
    )
  }
}
