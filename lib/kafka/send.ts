import type { Message, RecordMetadata } from 'kafkajs'
import { log, traceId } from '../log.ts'
import { metrics } from '../metrics.ts'
import { atMost, DeadlineError, sleep } from '../run.ts'
import type { SpooledMessage } from '../spool/frame.ts'
import type { Spool } from '../spool/spool.ts'
import type { TopicPlan } from '../topics.ts'
import { clusterView, type ClusterView, type KafkaClients } from './client.ts'
import { openOutlet } from './outlet.ts'

/**
 * From the spool to Kafka. One send is one topic-partition, one is under way for each, and nothing later of a partition
 * is sent before all that is earlier has its answer. An answer counts only if it names exactly this partition, without
 * an error, at offsets above all that were acknowledged before. Everything else is "unknown": the same messages again.
 * (The library can report a send over two partitions as done although one was never written, hence one partition.)
 * What the broker refuses for good is found by halving the batch: that one message goes out as refused, no other.
 */
export interface Sender {
  state(): SenderState
  /** stops after the sends that are under way; what has no answer stays in the spool */
  close(): Promise<void>
}

export interface SenderState {
  /** as the last send saw it; null before the first */
  reachable: boolean | null
  clusterId: string | null
  errors: number
  lastError: string | null
  lastErrorAtMs: number | null
}

export interface SenderOptions {
  spool: Spool
  clients: KafkaClients
  plan: readonly TopicPlan[]
  /** for people: what should be seen on the page, not only in a log */
  onEvent?: (event: string, message: string, details: Record<string, unknown>) => void
}

type Attempt = { outcome: 'acked' } | { outcome: 'unknown' | 'refused'; reason: string; timedOut: boolean }

const BACK_OFF_MS = { first: 100, last: 5000 }
const ROUNDS_BEFORE_RENEWAL = 3
const TOPIC_CHECK_MS = 2000 // a topic that is missing or differs is looked at again after this
/** An answer that comes later than this after the end is not waited for: its messages are sent again. */
const CLOSE_MS = 3000
const UNKNOWN_TOPIC = 'UNKNOWN_TOPIC_OR_PARTITION'
const FOR_GOOD = new Set([
  'MESSAGE_TOO_LARGE',
  'RECORD_LIST_TOO_LARGE',
  'INVALID_RECORD',
  'INVALID_TIMESTAMP',
])

export function startSender(options: SenderOptions): Sender {
  const { spool, clients, plan, onEvent = () => {} } = options
  const outlet = openOutlet(clients)
  const view = clusterView(clients)
  const stop = new AbortController()
  const { signal } = stop
  const runId = Buffer.from(spool.runId)
  const workers = new Map<string, { wake: () => void; done: Promise<void> }>()
  const topics = new Map<string, Promise<void>>()
  let checking = 0
  const state: SenderState = {
    reachable: null,
    clusterId: null,
    errors: 0,
    lastError: null,
    lastErrorAtMs: null,
  }

  spool.onReady(start)
  for (const { topic, partition } of spool.lines()) start(topic, partition)

  function start(topic: string, partition: number): void {
    const name = `${topic}/${partition}`
    const worker = workers.get(name)
    if (worker) return worker.wake()
    let wake = () => {}
    const asleep = () => new Promise<void>((resolve) => (wake = resolve))
    workers.set(name, { wake: () => wake(), done: serve(topic, partition, asleep) })
  }

  async function serve(topic: string, partition: number, asleep: () => Promise<void>): Promise<void> {
    const acked = { end: -1 }
    while (!signal.aborted) {
      const batch = spool.take(topic, partition)
      if (!batch) {
        await asleep()
        continue
      }
      const refused: { message: SpooledMessage; reason: string }[] = []
      const complete = await deliver(topic, partition, batch.messages, acked, refused)
      if (!complete) return
      spool.done(batch, refused)
    }
  }

  /** True when each message is acknowledged or refused for good; false when we were told to stop before. */
  async function deliver(
    topic: string,
    partition: number,
    messages: readonly SpooledMessage[],
    acked: { end: number },
    refused: { message: SpooledMessage; reason: string }[],
  ): Promise<boolean> {
    const wire = messages.map((m): Message => ({
      partition,
      key: m.key,
      value: m.value,
      headers: { 'run-id': runId, seq: String(m.seq) },
    }))
    for (let round = 1; !signal.aborted; round++) {
      await topicIsAsPlanned(topic)
      if (signal.aborted) return false
      const attempt = await send(topic, partition, wire, acked)
      if (attempt.outcome === 'acked') return true
      noteError(attempt.reason)
      if (attempt.outcome === 'refused') {
        const first = messages[0]
        if (messages.length === 1 && first) {
          log.error('message.refused', { topic, partition, seq: first.seq, reason: attempt.reason })
          onEvent('message_refused', `The broker refused a message for good: ${attempt.reason}`, {
            topic,
            partition,
            key: first.key.toString(),
            seq: first.seq,
          })
          refused.push({ message: first, reason: attempt.reason })
          return true
        }
        const half = messages.length >> 1
        const parts = [messages.slice(0, half), messages.slice(half)]
        for (const part of parts) if (!(await deliver(topic, partition, part, acked, refused))) return false
        return true
      }
      log.warn('kafka.send_unknown', {
        topic,
        partition,
        messages: messages.length,
        round,
        reason: attempt.reason,
      })
      if (attempt.timedOut || round % ROUNDS_BEFORE_RENEWAL === 0) outlet.renew(attempt.reason)
      if (attempt.reason === UNKNOWN_TOPIC) topics.delete(topic) // gone, or made anew and perhaps otherwise
      const backOff = Math.min(BACK_OFF_MS.last, BACK_OFF_MS.first * 2 ** (round - 1))
      await sleep(backOff * (0.5 + Math.random() / 2), signal)
    }
    return false
  }

  async function send(
    topic: string,
    partition: number,
    messages: Message[],
    acked: { end: number },
  ): Promise<Attempt> {
    const started = performance.now()
    let answer: RecordMetadata[]
    try {
      answer = await outlet.send(topic, messages)
    } catch (error) {
      return judgeError(error)
    }
    const fault = faultOf(answer, topic, partition, acked.end)
    const base = Number(answer[0]?.baseOffset)
    if (fault) {
      // A topic made anew begins at 0 again: said loudly, sent once more, and then that log is the one that counts.
      if (fault.startsWith('offset')) acked.end = base + messages.length - 1
      onEvent('answer_refused', `An acknowledgement could not be believed: ${fault}`, { topic, partition })
      return { outcome: 'unknown', reason: fault, timedOut: false }
    }
    acked.end = base + messages.length - 1
    state.reachable = true
    metrics.produced(topic, messages.length, (performance.now() - started) / 1000)
    log.debug('batch.sent', { 'trace.id': traceId(topic, partition, base), messages: messages.length })
    return { outcome: 'acked' }
  }

  function judgeError(error: unknown): Attempt {
    const type = protocolType(error)
    const reason = type ?? (error instanceof Error ? error.message : String(error))
    if (type !== null && FOR_GOOD.has(type)) return { outcome: 'refused', reason, timedOut: false }
    const timedOut = error instanceof DeadlineError || /timed out|Timeout/i.test(nameOf(error) + reason)
    if (type === null) state.reachable = false
    return { outcome: 'unknown', reason, timedOut }
  }

  function noteError(reason: string): void {
    state.errors++
    metrics.produceFailed(reason)
    state.lastError = reason
    state.lastErrorAtMs = Date.now()
  }

  /** Resolves once the topic has as many partitions as the plan says: keys would land elsewhere otherwise. */
  function topicIsAsPlanned(topic: string): Promise<void> {
    let known = topics.get(topic)
    if (!known) topics.set(topic, (known = checkTopic(topic)))
    return known
  }

  async function checkTopic(topic: string): Promise<void> {
    checking++
    try {
      await waitForTopic(topic)
    } finally {
      if (--checking === 0) await view.close() // its sockets are needed for nothing else
    }
  }

  async function waitForTopic(topic: string): Promise<void> {
    const planned = plan.find((t) => t.topic === topic)?.partitions
    let told = ''
    while (!signal.aborted) {
      const fault = await partitionsOf(view, topic).then(
        (found) => {
          state.reachable = true
          return found === planned ? null : differs(topic, planned, found)
        },
        (error: unknown) => {
          state.reachable = protocolType(error) !== null
          if (protocolType(error) === UNKNOWN_TOPIC) return missing(topic)
          return `Cannot reach Kafka: ${error instanceof Error ? error.message : String(error)}`
        },
      )
      if (!fault) {
        state.clusterId ??= await view.clusterId().catch(() => null)
        return
      }
      noteError(fault)
      if (fault !== told) {
        log.error('topic.unusable', { topic, fault })
        if (state.reachable) onEvent('topic_unusable', fault, { topic })
      }
      told = fault
      await sleep(TOPIC_CHECK_MS, signal)
    }
  }

  return {
    state: () => ({ ...state }),
    async close() {
      stop.abort()
      for (const worker of workers.values()) worker.wake()
      const done = Promise.all([...workers.values()].map((worker) => worker.done))
      await atMost(done, CLOSE_MS)
      await Promise.all([outlet.close(), view.close()])
    },
  }
}

/** What is wrong with an acknowledgement; null where it can be believed. */
export function faultOf(
  answer: readonly RecordMetadata[],
  topic: string,
  partition: number,
  ackedEnd: number,
): string | null {
  const only = answer[0]
  if (answer.length !== 1 || !only) return `it names ${answer.length} partitions instead of one`
  if (only.topicName !== topic || only.partition !== partition) {
    return `it names ${only.topicName}/${only.partition} instead of ${topic}/${partition}`
  }
  if (only.errorCode !== 0) return `it carries error code ${only.errorCode}`
  const base = Number(only.baseOffset)
  if (!Number.isSafeInteger(base) || base < 0) return `it has no offset: "${only.baseOffset}"`
  if (base <= ackedEnd) return `offset ${base} lies at or below ${ackedEnd}, acknowledged before`
  return null
}

async function partitionsOf(view: ClusterView, topic: string): Promise<number> {
  const metadata = await view.ask(`describe ${topic}`, (a) => a.fetchTopicMetadata({ topics: [topic] }))
  return metadata.topics.find((t) => t.name === topic)?.partitions.length ?? 0
}

function differs(topic: string, planned: number | undefined, found: number): string {
  return `Cannot send to ${topic}: it has ${found} partitions, planned are ${planned ?? 'none'}: readings wait in the spool; give the topic its planned partitions (bun run topics shows both)`
}

function missing(topic: string): string {
  return `Cannot send to ${topic}: the cluster has no such topic: readings wait in the spool; bun run topics creates it (with FLEET=all: those of every fleet)`
}

/** The broker's own word for what went wrong; null where it was no broker that spoke. */
export function protocolType(error: unknown): string | null {
  for (let e = error; e instanceof Error; e = e.cause) {
    if (e.name === 'KafkaJSProtocolError' && 'type' in e && typeof e.type === 'string') return e.type
  }
  return null
}

function nameOf(error: unknown): string {
  return error instanceof Error ? `${error.name} ${error.cause instanceof Error ? error.cause.name : ''}` : ''
}
