import { Kafka, logLevel } from 'kafkajs'
import { oneOf } from './by-number.ts'
import { contentOf } from './content.ts'
import type { AlertMessage, LogMessage } from './evidence.ts'

/** Raw reading of whole topics, under a group of its own that commits nothing. */
const STUCK_MS = 60_000

interface Raw {
  topic: string
  partition: number
  offset: number
  appendedAtMs: number
  key: Buffer | null
  value: Buffer | null
  headers: Record<string, unknown>
}

export interface Ends {
  topic: string
  partition: number
  low: number
  high: number
}

export async function dumpTopics(
  brokers: string[],
  wanted: { readings: string[]; alerts: string },
): Promise<{ log: LogMessage[]; alerts: AlertMessage[]; ends: Ends[] }> {
  process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1'
  const kafka = new Kafka({
    clientId: 'judge',
    brokers,
    logLevel: logLevel.NOTHING,
    connectionTimeout: 5000,
    requestTimeout: 15_000,
    retry: { retries: 10 },
  })
  const ends = await endsOf(kafka, [...wanted.readings, wanted.alerts])
  const log: LogMessage[] = []
  const alerts: AlertMessage[] = []
  await readUpTo(kafka, ends, (raw) => {
    if (raw.topic === wanted.alerts) {
      const alert = alertOf(raw)
      if (alert) alerts.push(alert)
    } else log.push(messageOf(raw))
  })
  return { log, alerts, ends: ends.filter((e) => e.topic !== wanted.alerts) }
}

async function endsOf(kafka: Kafka, topics: string[]): Promise<Ends[]> {
  const admin = kafka.admin()
  await admin.connect()
  try {
    const known = new Set(await admin.listTopics())
    const lists = await Promise.all(
      topics
        .filter((topic) => known.has(topic))
        .map(async (topic) =>
          (await admin.fetchTopicOffsets(topic)).map(({ partition, low, high }) => ({
            topic,
            partition,
            low: Number(low),
            high: Number(high),
          })),
        ),
    )
    return lists.flat().sort((a, b) => a.topic.localeCompare(b.topic) || a.partition - b.partition)
  } finally {
    await admin.disconnect()
  }
}

async function readUpTo(kafka: Kafka, ends: Ends[], take: (raw: Raw) => void): Promise<void> {
  const open = new Map(ends.filter((e) => e.high > e.low).map((e) => [`${e.topic}/${e.partition}`, e]))
  if (open.size === 0) return
  const consumer = kafka.consumer({
    groupId: `judge-${crypto.randomUUID()}`,
    maxWaitTimeInMs: 200,
    sessionTimeout: 30_000,
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let movedAt = Date.now()
  consumer.on('consumer.crash', ({ payload }) => {
    if (!payload.restart) reject(payload.error)
  })
  const watch = setInterval(() => {
    if (Date.now() - movedAt > STUCK_MS)
      reject(
        new Error(
          `Cannot read the topics: nothing came for ${STUCK_MS} ms of ${[...open.keys()].join(', ')}`,
        ),
      )
  }, 1000)
  const started = new Set<string>()
  try {
    await consumer.connect()
    await consumer.subscribe({
      topics: [...new Set([...open.values()].map((e) => e.topic))],
      fromBeginning: true,
    })
    await consumer.run({
      autoCommit: false,
      partitionsConsumedConcurrently: 1,
      eachBatch: async ({ batch }) => {
        const { topic, partition } = batch
        const id = `${topic}/${partition}`
        const end = open.get(id)
        movedAt = Date.now()
        if (!end) return
        started.add(id)
        for (const m of batch.messages) {
          const offset = Number(m.offset)
          if (offset < end.high)
            take({
              topic,
              partition,
              offset,
              appendedAtMs: Number(m.timestamp),
              key: m.key,
              value: m.value,
              headers: m.headers ?? {},
            })
        }
        if (Number(batch.lastOffset()) + 1 >= end.high) open.delete(id)
        if (open.size === 0) resolve()
      },
    })
    await promise
  } finally {
    clearInterval(watch)
    await consumer.disconnect().catch(() => {})
  }
}

function messageOf({ topic, partition, offset, appendedAtMs, key, value, headers }: Raw): LogMessage {
  const run = text(headers['run-id'])
  const seq = text(headers.seq)
  const whole =
    run !== null && seq !== null && /^[A-Za-z0-9._:-]{1,64}$/.test(run) && /^[1-9]\d{0,14}$/.test(seq)
  return {
    topic,
    partition,
    offset,
    appendedAtMs,
    key: key === null ? null : oneOf(key.toString()),
    run: whole ? oneOf(run) : null,
    seq: whole ? Number(seq) : null,
    content: contentOf(value),
  }
}

function alertOf({ partition, offset, headers, value }: Raw): AlertMessage | null {
  try {
    const { alert_id, state, sensor_id } = JSON.parse(value?.toString() ?? 'null') as Record<string, unknown>
    return {
      id: text(headers['alert-id']) ?? String(alert_id),
      state: String(state),
      sensor: String(sensor_id),
      partition,
      offset,
    }
  } catch {
    return null // another format than JSON
  }
}

function text(header: unknown): string | null {
  if (typeof header === 'string') return header
  return Buffer.isBuffer(header) ? header.toString('latin1') : null
}
