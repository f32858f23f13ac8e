import { afterEach, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import type { Producer, ProducerRecord, RecordMetadata } from 'kafkajs'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { clusterView, kafkaClients, type KafkaClients } from '../../lib/kafka/client.ts'
import { partitionOf } from '../../lib/kafka/partitioner.ts'
import { faultOf, startSender, type SenderOptions } from '../../lib/kafka/send.ts'
import { readLedger } from '../../lib/spool/ledger.ts'
import { openSpool, type Spool } from '../../lib/spool/spool.ts'
import { spoolFile } from '../../lib/spool/store.ts'
import { measured, measuredMany } from '../spool/measured.ts'
import { freshTopic, kafka, STACK_MS } from '../stack.ts'
import { readTopic, withoutRepeats } from './log.ts'

setDefaultTimeout(60_000)

beforeAll(async () => {
  await kafka()
}, STACK_MS)

const cleanUp: (() => unknown)[] = []
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step()
})

function folder(): string {
  const directory = mkdtempSync(join(tmpdir(), 'send-'))
  cleanUp.push(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

function open(partitions = 3, directory = folder()): Spool {
  const spool = openSpool({
    directory,
    producerId: 'plant',
    maxBytes: 256 * 1024 * 1024,
    whenFull: 'block',
    partitionOf: (_, key) => partitionOf(key, partitions),
  })
  cleanUp.push(() => spool.close())
  return spool
}

function send(spool: Spool, topic: string, options: Partial<SenderOptions> & { clients: KafkaClients }) {
  const sender = startSender({ spool, plan: [{ topic, partitions: 3, config: {} }], ...options })
  cleanUp.push(() => sender.close())
  return sender
}

async function clients(): Promise<KafkaClients> {
  const { brokers } = await kafka()
  return kafkaClients({ brokers, clientId: 'test-producer' })
}

async function drained(spool: Spool, boundMs: number): Promise<void> {
  await spool.drained(AbortSignal.timeout(boundMs))
  expect(spool.state()).toMatchObject({ spooled: 0 })
}

const countUp = (to: number) => Array.from({ length: to }, (_, i) => i + 1)

/** Every key has each of its numbers, in order. */
function expectComplete(found: Map<string, number[]>, keys: number, each: number): void {
  expect(found.size).toBe(keys)
  for (const [key, seqs] of found) expect({ key, seqs }).toEqual({ key, seqs: countUp(each) })
}

test('what is accepted arrives once, in order, in its key’s partition, with its identity', async () => {
  const topic = await freshTopic()
  const spool = open()
  send(spool, topic, { clients: await clients() })
  for (const n of countUp(20)) await spool.accept(measuredMany(300, 30, { topic, from: n * 300 }))
  await drained(spool, 20_000)
  const logged = await readTopic((await kafka()).brokers, topic)
  expect(logged).toHaveLength(6000)
  expectComplete(withoutRepeats(logged), 30, 200)
  for (const m of logged) expect(m.partition).toBe(partitionOf(m.key, 3))
  expect(new Set(logged.map((m) => m.runId))).toEqual(new Set([spool.runId]))
  const body = JSON.parse(logged[0]!.value)
  expect(body).toMatchObject({ sensor_id: logged[0]!.key, metadata: { reading_count: logged[0]!.seq } })
})

test('with Kafka away readings are accepted, and delivered in order when it is there', async () => {
  const topic = await freshTopic()
  const directory = folder()
  const before = open(3, directory)
  const nowhere = send(before, topic, {
    clients: kafkaClients({ brokers: ['localhost:1'], clientId: 'test' }),
  })
  for (const n of countUp(5)) await before.accept(measuredMany(100, 10, { topic, from: n * 100 }))
  const end = performance.now() + 15_000
  while (nowhere.state().lastError === null && performance.now() < end) await Bun.sleep(20)
  expect(nowhere.state()).toMatchObject({ reachable: false })
  expect(before.state()).toMatchObject({ accepted: 500, spooled: 500, sent: 0, blocked: null })
  await nowhere.close()
  await before.close()

  const after = open(3, directory)
  send(after, topic, { clients: await clients() })
  await after.accept(measuredMany(100, 10, { topic }))
  await drained(after, 20_000)
  expectComplete(withoutRepeats(await readTopic((await kafka()).brokers, topic)), 10, 60)
})

test('a frozen leader: acknowledgements resume while it is still frozen, nothing is missing, the order holds', async () => {
  const { brokers, nodes } = await kafka()
  const topic = await freshTopic()
  const spool = open()
  send(spool, topic, { clients: await clients() })
  let accepted = 0
  const accept = async (count: number) => {
    await spool.accept(measuredMany(count, 12, { topic, from: accepted }))
    accepted += count
  }
  await accept(1200)
  await drained(spool, 15_000)
  const view = clusterView(await clients())
  const metadata = await view.ask('find the leader', (a) => a.fetchTopicMetadata({ topics: [topic] }))
  await view.close()
  const leader = nodes[(metadata.topics[0]!.partitions[0]?.leader ?? 0) - 1]!
  const frozenAt = performance.now()
  leader.pause()
  cleanUp.push(() => leader.resume())
  try {
    while (accepted < 3600) {
      await accept(120)
      await Bun.sleep(50)
    }
    await drained(spool, 35_000)
  } finally {
    leader.resume()
  }
  // broker session 9 s, election, and one round of ours that began just before
  expect(performance.now() - frozenAt).toBeLessThan(30_000)
  expectComplete(withoutRepeats(await readTopic(brokers, topic)), 12, 300)
}, 90_000)

test('an answer that names another partition, or none, is not believed: the same messages are sent again', async () => {
  const topic = await freshTopic()
  const spool = open()
  const lies = [
    (): RecordMetadata[] => [],
    (): RecordMetadata[] => [{ topicName: topic, partition: 99, errorCode: 0, baseOffset: '7' }],
    (): RecordMetadata[] => [{ topicName: topic, partition: 0, errorCode: 0, baseOffset: '-1' }],
  ]
  let told = 0
  send(spool, topic, {
    clients: lying(await clients(), async (record, send) => {
      const lie = lies[told]
      if (!lie) return send(record)
      told++
      return lie()
    }),
  })
  await spool.accept(measuredMany(90, 9, { topic }))
  await drained(spool, 20_000)
  expect(told).toBe(3)
  expectComplete(withoutRepeats(await readTopic((await kafka()).brokers, topic)), 9, 10)
})

test('an answer that was lost: sent again, repeats only, nothing out of order', async () => {
  const topic = await freshTopic()
  const spool = open()
  let lost = 0
  const sender = send(spool, topic, {
    clients: lying(await clients(), async (record, send) => {
      const answer = await send(record)
      if (++lost % 2 === 1 && lost < 12) throw new Error('the connection was lost')
      return answer
    }),
  })
  for (const n of countUp(10)) await spool.accept(measuredMany(30, 6, { topic, from: n * 30 }))
  await drained(spool, 20_000)
  expect(sender.state().errors).toBeGreaterThan(0)
  const logged = await readTopic((await kafka()).brokers, topic)
  expect(logged.length).toBeGreaterThan(300)
  expectComplete(withoutRepeats(logged), 6, 50)
})

test('a message that the broker refuses for good goes out alone; its neighbours arrive', async () => {
  const topic = await freshTopic(3, { 'max.message.bytes': '20000' })
  const directory = folder()
  const spool = open(3, directory)
  send(spool, topic, { clients: await clients() })
  const batch = measuredMany(40, 1, { topic })
  batch[7] = measured('sensor-0', 7, { topic, padding: 50_000 })
  batch[23] = measured('sensor-0', 23, { topic, padding: 50_000 })
  await spool.accept(batch)
  await drained(spool, 20_000)
  expect(spool.state()).toMatchObject({ accepted: 40, sent: 38, rejected: 2 })
  const seqs = withoutRepeats(await readTopic((await kafka()).brokers, topic)).get('sensor-0')
  expect(seqs).toEqual(countUp(40).filter((seq) => seq !== 8 && seq !== 24))
  const end = performance.now() + 2000
  while (spool.refusals(10).length < 2 && performance.now() < end) await Bun.sleep(20)
  expect(spool.refusals(10).map((r) => [r.key, r.seq, r.reason])).toEqual([
    ['sensor-0', 8, 'refused_by_broker'],
    ['sensor-0', 24, 'refused_by_broker'],
  ])
  const ledger = readLedger(spoolFile(directory, 'plant'))
  const rejected = [...ledger].filter((e) => e.disposition === 'rejected').map((e) => e.seq)
  ledger.close()
  expect(rejected).toEqual([8, 24])
})

test('a topic with other than its planned partitions gets nothing, and people are told', async () => {
  const topic = await freshTopic(2)
  const spool = open()
  const events: string[] = []
  const sender = send(spool, topic, {
    clients: await clients(),
    onEvent: (event, message) => events.push(`${event}: ${message}`),
  })
  await spool.accept(measuredMany(10, 5, { topic }))
  const end = performance.now() + 10_000
  while (events.length === 0 && performance.now() < end) await Bun.sleep(20)
  expect(events[0]).toContain(`topic_unusable: Cannot send to ${topic}: it has 2 partitions, planned are 3`)
  await spool.accept(measuredMany(10, 5, { topic }))
  expect(spool.state()).toMatchObject({ accepted: 20, sent: 0 })
  expect(sender.state().lastError).toContain('planned are 3')
  expect(await readTopic((await kafka()).brokers, topic)).toEqual([])
})

test('faultOf() believes one answer only: this partition, no error, offsets above all before', () => {
  const right = { topicName: 't', partition: 1, errorCode: 0, baseOffset: '10' }
  const cases: [RecordMetadata[], RegExp | null][] = [
    [[right], null],
    [[], /names 0 partitions/],
    [[right, right], /names 2 partitions/],
    [[{ ...right, topicName: 'u' }], /names u\/1 instead of t\/1/],
    [[{ ...right, partition: 2 }], /names t\/2 instead of t\/1/],
    [[{ ...right, errorCode: 7 }], /error code 7/],
    [[{ ...right, baseOffset: '-1' }], /no offset/],
    [[{ ...right, baseOffset: undefined }], /no offset/],
    [[{ ...right, baseOffset: '9' }], /offset 9 lies at or below 9/],
  ]
  for (const [answer, fault] of cases) {
    const seen = faultOf(answer, 't', 1, 9)
    if (fault) expect(seen).toMatch(fault)
    else expect(seen).toBeNull()
  }
})

/** The real client with something between its producers and us: a broker that lies can't be had. */
function lying(
  real: KafkaClients,
  between: (
    record: ProducerRecord,
    send: (record: ProducerRecord) => Promise<RecordMetadata[]>,
  ) => Promise<RecordMetadata[]>,
): KafkaClients {
  const wrap = (kafka: ReturnType<KafkaClients['current']>) =>
    new Proxy(kafka, {
      get(target, property, receiver) {
        if (property !== 'producer') return Reflect.get(target, property, receiver)
        return (config: Parameters<typeof target.producer>[0]): Producer => {
          const producer = target.producer(config)
          return { ...producer, send: (record) => between(record, producer.send) }
        }
      },
    })
  return { brokers: real.brokers, current: () => wrap(real.current()), rotate: () => wrap(real.rotate()) }
}
