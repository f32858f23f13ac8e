import { Kafka, logLevel, type Admin, type KafkaConfig, type LogEntry, type SASLOptions } from 'kafkajs'
import type { Config } from '../config.ts'
import { log } from '../log.ts'
import { DeadlineError, withDeadline } from '../run.ts'

/**
 * The only place that makes kafkajs clients, so that every option is written down once. A client asks its first broker
 * who leads what; where that broker is frozen (it accepts the connection and then says nothing) a fresh client from the
 * same list would meet it again. Therefore `rotate()`: a new client that starts at the next broker.
 */
export interface KafkaClients {
  readonly brokers: readonly string[]
  current(): Kafka
  rotate(): Kafka
}

export interface KafkaOptions {
  brokers: readonly string[]
  clientId: string
  /** how long one request may take; a frozen broker is noticed after this */
  requestTimeoutMs?: number
  security?: Pick<KafkaConfig, 'ssl' | 'sasl'>
}

/** The cluster of this configuration: where it is, and how to log in to it. */
export function clusterOf(config: Config): Pick<KafkaOptions, 'brokers' | 'security'> {
  const {
    KAFKA_SASL_MECHANISM: mechanism,
    KAFKA_SASL_USERNAME: username,
    KAFKA_SASL_PASSWORD: password,
  } = config
  const { KAFKA_SSL_CA: ca, KAFKA_SSL_CERT: cert, KAFKA_SSL_KEY: key } = config
  const security: KafkaOptions['security'] = {}
  if (config.KAFKA_SSL === 'on' || ca) {
    security.ssl = { ...(ca && { ca: [ca] }), ...(cert && { cert }), ...(key && { key }) }
  }
  if (mechanism && username && password) security.sasl = { mechanism, username, password } as SASLOptions
  return { brokers: config.KAFKA_BROKERS, security }
}

/** 4 s: below the broker session of 9 s, so that we have turned away before the cluster has elected a new leader. */
export const REQUEST_TIMEOUT_MS = 4000

/** We choose the partition ourselves; its warning about a changed default partitioner says nothing to our users. */
process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1'

export function kafkaClients(options: KafkaOptions): KafkaClients {
  let brokers = [...options.brokers]
  let kafka = createKafka(brokers, options)
  return {
    brokers: options.brokers,
    current: () => kafka,
    rotate() {
      brokers = [...brokers.slice(1), ...brokers.slice(0, 1)]
      kafka = createKafka(brokers, options)
      return kafka
    },
  }
}

function createKafka(brokers: string[], options: KafkaOptions): Kafka {
  return new Kafka({
    clientId: options.clientId,
    brokers,
    connectionTimeout: 4000, // 1 s, the default, is too short on a loaded machine
    authenticationTimeout: 10_000,
    reauthenticationThreshold: 10_000,
    requestTimeout: options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
    enforceRequestTimeout: true,
    // Few and short: who waits for whom is decided by our own loops, which also change the broker list.
    retry: { retries: 2, initialRetryTime: 100, maxRetryTime: 1000, factor: 0.2, multiplier: 2 },
    logLevel: logLevel.INFO,
    logCreator: () => forward,
    ...(options.security?.ssl === undefined ? {} : { ssl: options.security.ssl }),
    ...(options.security?.sasl === undefined ? {} : { sasl: options.security.sasl }),
  })
}

const SAME_LINE_MS = 10_000
const lastWarned = new Map<string, number>()

/**
 * The library calls every retry an error. What matters is told by our own events, so its errors are warnings, the same
 * one at most every 10 s, and the rest is for debugging.
 */
function forward({ namespace, level, log: entry }: LogEntry): void {
  const { message, timestamp: _, logger: __, ...rest } = entry
  const { stack: ___, ...fields } = rest as Record<string, unknown>
  const event = { part: namespace, detail: message, ...fields }
  const line = `${namespace} ${message} ${String(fields.broker ?? '')}`
  const now = Date.now()
  if (level > logLevel.ERROR || now - (lastWarned.get(line) ?? 0) < SAME_LINE_MS) {
    return log.debug('kafka.library', event)
  }
  if (lastWarned.size > 200) lastWarned.clear()
  lastWarned.set(line, now)
  log.warn('kafka.library', event)
}

export interface PartitionOffsets {
  partition: number
  /** first offset still kept */
  low: number
  /** offset that the next message will get */
  high: number
}

/** A partition's log, as it was just seen. */
export interface LogSeen extends PartitionOffsets {
  /** of what was appended at `ms` (since 1970) or later the first offset; the end where there is none */
  firstSince(ms: number): Promise<number>
}

/** Questions to the cluster. Each has a deadline; after a failure the next one goes through a fresh client. */
export interface ClusterView {
  clusterId(): Promise<string>
  /** by partition, ascending; rejects where the topic is unknown */
  offsets(topic: string): Promise<PartitionOffsets[]>
  /** of what was appended at `ms` (since 1970) or later the first offset; the partition's end where there is none */
  firstSince(topic: string, partition: number, ms: number): Promise<number>
  /** any other admin call, under the same deadline */
  ask<T>(what: string, call: (admin: Admin) => Promise<T>, ms?: number): Promise<T>
  close(): Promise<void>
}

/** 8 s: one frozen broker (4 s) and a second one that answers slowly. */
const ANSWER_MS = 8000

export function clusterView(clients: KafkaClients): ClusterView {
  let admin: Promise<Admin> | null = null

  const connect = async () => {
    const fresh = clients.current().admin({
      retry: { retries: 1, initialRetryTime: 100, maxRetryTime: 1000, factor: 0.2, multiplier: 2 },
    })
    await fresh.connect()
    return fresh
  }
  const drop = () => {
    const old = admin
    admin = null
    void old?.then((a) => a.disconnect()).catch(() => {}) // a frozen broker would hold us
  }
  const ask: ClusterView['ask'] = async (what, call, ms = ANSWER_MS) => {
    admin ??= connect()
    const mine = admin
    let connected = false
    const asked = mine.then((a) => {
      connected = true
      return call(a)
    })
    try {
      return await withDeadline(asked, ms, what)
    } catch (error) {
      // A connection that was never made is not asked again, whatever it failed for: a broker that starts may refuse.
      if (mine === admin && (!connected || isUnreachable(error))) {
        drop()
        clients.rotate()
      }
      throw error
    }
  }
  return {
    ask,
    clusterId: () => ask('name the cluster', async (a) => (await a.describeCluster()).clusterId),
    offsets: (topic) =>
      ask(`read the offsets of ${topic}`, async (a) =>
        (await a.fetchTopicOffsets(topic))
          .map((o) => ({ partition: o.partition, low: Number(o.low), high: Number(o.high) }))
          .sort((x, y) => x.partition - y.partition),
      ),
    firstSince: (topic, partition, ms) =>
      ask(`look for what ${topic} got since`, async (a) => {
        const first = (await a.fetchTopicOffsetsByTimestamp(topic, Math.ceil(ms))).find(
          (o) => o.partition === partition,
        )
        return first ? Number(first.offset) : Infinity
      }),
    async close() {
      drop()
    },
  }
}

const UNREACHABLE = new Set([
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSRequestTimeoutError',
  'KafkaJSBrokerNotFound',
  'KafkaJSNumberOfRetriesExceeded',
  'KafkaJSMetadataNotLoaded',
  'KafkaJSTimeout',
])

/** No broker answered, as against: a broker answered with a refusal. */
export function isUnreachable(error: unknown): boolean {
  if (error instanceof DeadlineError) return true
  if (!(error instanceof Error)) return false
  // The library throws a bare Error of this text when a client was connected once and its broker has gone since.
  if (error.message === 'Broker not connected') return true
  const cause = error.cause instanceof Error ? error.cause.name : ''
  return UNREACHABLE.has(error.name) && cause !== 'KafkaJSProtocolError'
}
