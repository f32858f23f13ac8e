import type { Books } from '../../lib/alarm/books.ts'
import { parseBook } from '../../lib/alarm/rulebook.ts'
import { createRules } from '../../lib/alarm/rules.ts'
import { createKeyCache } from '../../lib/ingest/keys.ts'
import { LogReplaced } from '../../lib/ingest/log-end.ts'
import { decodeFactory } from '../../lib/ingest/decode.ts'
import { Fenced } from '../../lib/ingest/store.ts'
import { createWorker, type Worker } from '../../lib/ingest/worker.ts'
import { createGroup, type Group } from '../../lib/kafka/group.ts'
import type { PartitionOwner } from '../../lib/kafka/owner.ts'
import { startSender } from '../../lib/kafka/send.ts'
import { createLines, type Chunk } from '../../lib/spool/lines.ts'
import type { SpooledMessage } from '../../lib/spool/frame.ts'
import type { Spool } from '../../lib/spool/spool.ts'
import { TOPIC, type Cluster } from './kafka.ts'
import type { Server } from './postgres.ts'
import { newProcess, type Process, type World } from './time.ts'

/** The product's own sender, group and workers in the simulated world, put together as its programs put them together. */
export const rules = createRules(
  1,
  parseBook(
    {
      rules: [
        {
          id: 'temperature.high',
          kind: 'limit',
          side: 'high',
          limit: 30,
          deadband: 2,
          severity: 'high',
          anomaly_type: 'high',
          level: 'critical',
        },
      ],
    },
    'the simulation',
  ),
)
const books: Books = {
  latest: () => rules,
  version: async () => rules,
  refresh: async () => {},
  follow: async () => {},
}

/** What a spool has on its disk: it outlives its process. */
export interface Disk {
  runId: string
  accepted: { sensor: string; seq: number; value: number; at: number }[]
  chunks: Map<number, { chunk: Chunk; messages: SpooledMessage[] }>
  nextChunk: number
}

export const newDisk = (runId: string): Disk => ({ runId, accepted: [], chunks: new Map(), nextChunk: 1 })

/** A producer that accepts a few readings now and then until `until`. */
export function startProducer(world: World, cluster: Cluster, disk: Disk, until: number): Process {
  const process = newProcess('producer')
  world.after(0, process, () => {
    const spool = openSpool(world, disk)
    startSender({
      spool,
      clients: cluster.clients(),
      plan: [{ topic: TOPIC, partitions: cluster.logs.length, config: {} }],
    })
    const accept = () => {
      if (world.now() > until) return
      spool.measure(1 + Math.floor(world.random() * 6))
      setTimeout(accept, world.between(20, 1500))
    }
    accept()
  })
  return process
}

const SENSORS = 4

function openSpool(world: World, disk: Disk): Spool & { measure(count: number): void } {
  const lines = createLines()
  const listeners: ((topic: string, partition: number) => void)[] = []
  for (const { chunk } of disk.chunks.values()) lines.add({ ...chunk })
  const messagesOf = (chunk: Chunk) => disk.chunks.get(chunk.chunk)?.messages ?? []
  const spool: Pick<Spool, 'runId' | 'take' | 'done' | 'lines' | 'onReady'> = {
    runId: disk.runId,
    take(topic, partition) {
      const chunks = lines.take(topic, partition, 1000, 512 * 1024)
      return chunks && { topic, partition, chunks, messages: chunks.flatMap(messagesOf) }
    },
    done(batch) {
      lines.remove(batch.chunks)
      // crossing off is written lazily: a crash before that sends again
      setTimeout(() => batch.chunks.forEach((c) => disk.chunks.delete(c.chunk)), world.between(0, 200))
    },
    lines: () => [...lines.all()],
    onReady: (listener) => void listeners.push(listener),
  }
  return Object.assign(spool as Spool, {
    measure(count: number) {
      for (let i = 0; i < count; i++) {
        const number = Math.floor(world.random() * SENSORS)
        const sensor = `temp-${number}`
        const partition = number % 2
        const seq = disk.accepted.filter((a) => a.sensor === sensor).length + 1
        const at = Date.now() + i / 1000
        const value = Math.round(world.between(20, 40))
        const chunk = {
          chunk: disk.nextChunk++,
          topic: TOPIC,
          partition,
          messages: 1,
          bytes: 300,
          acceptedAtMs: at,
        }
        disk.accepted.push({ sensor, seq, value, at })
        disk.chunks.set(chunk.chunk, {
          chunk,
          messages: [
            { key: Buffer.from(sensor), value: messageOf(sensor, value, at), seq, sensors: [number] },
          ],
        })
        lines.add(chunk)
        listeners.forEach((tell) => tell(TOPIC, partition))
      }
    },
  })
}

function messageOf(sensor: string, value: number, at: number): Buffer {
  const location = { factory_section: 'p', machine_id: 'm', zone: 'z' }
  return Buffer.from(
    JSON.stringify({
      timestamp: new Date(at).toISOString(),
      sensor_id: sensor,
      sensor_type: 'temperature',
      location,
      value,
      unit: '°C',
    }),
  )
}

/** A consumer: a member of the group with a worker for each partition. `died` is called where it gives up. */
export function startConsumer(
  world: World,
  cluster: Cluster,
  server: Server,
  name: string,
  died: () => void,
): Process {
  const process = newProcess(name)
  world.after(0, process, () => {
    const database = server.connect()
    const keys = createKeyCache(database)
    const workers = new Map<number, Worker>()
    const workerOf = (partition: number): Worker => {
      const worker =
        workers.get(partition) ??
        createWorker({
          database,
          keys,
          clusterId: 'cluster',
          topic: TOPIC,
          partition,
          consumerId: name,
          decode: decodeFactory,
          books,
          alertTopic: 'alerts',
          maxSensors: 100,
          isCaughtUp: () => false,
          onFailure: (error) => group.reclaim(TOPIC, partition, error instanceof Fenced ? 3000 : 100),
          now: () => Date.now(),
        })
      workers.set(partition, worker)
      return worker
    }
    const owner: PartitionOwner = {
      claim: (_, partition, range) => workerOf(partition).claim(range),
      take: (_, partition, records, most, high, beat) =>
        workerOf(partition).takeRecords(records, most, high, beat),
      pass: (_, partition, from, to) => workerOf(partition).pass(from, to),
      isBacklogged: (_, partition) => workerOf(partition).isBacklogged(),
      drained: (_, partition) => workerOf(partition).drained(),
      release: (_, partition) => workers.get(partition)?.release(),
      isFinal: (error) => error instanceof LogReplaced,
    }
    const group: Group = createGroup({
      clients: cluster.clients(),
      groupId: 'group',
      takesPlaceOf: null,
      topics: [TOPIC],
      owner,
      onRebalance: () => {},
      onDead: () => died(),
    })
    group.start().catch(() => died())
    let round = 0
    setInterval(() => {
      for (const worker of workers.values()) worker.tick()
      if (++round % 5 > 0) return
      const offsets = group.assigned().flatMap(({ topic, partition }) => {
        const offset = workers.get(partition)?.nextOffset() ?? null
        return offset === null ? [] : [{ topic, partition, offset }]
      })
      void group.commit(offsets)
    }, 1000)
  })
  return process
}
