import type { Producer } from 'kafkajs'
import type { Case } from '../catalogue.ts'

/** Where a case went. */
export interface Place {
  partition: number
  /** null where the broker refused it */
  offset: number | null
}

export interface Good {
  sensor: string
  partition: number
  seq: number
  value: Buffer
}

/** Where to, and what the good messages between the cases are. */
export interface Target {
  topic: string
  partitions: number
  /** names the sensor or device of the good messages of a partition; it counts in run `goodRun` */
  goodSensor: (partition: number) => string
  goodRun: string
  goodValue?: (sensor: string) => Buffer
}

export interface Published {
  /** by number of the case */
  places: Map<number, Place>
  /** the good readings between them, by partition in their order */
  good: Good[]
}

/** Cases of one partition that go out together: fewer sends, and neighbours in one record batch. */
const BATCH_CASES = 25
const BATCH_BYTES = 400_000

/**
 * Sends all cases, each between two good messages of its partition, in their order. Rejects where the broker refuses what
 * it should take, or the reverse.
 */
export async function publishCatalogue(
  producer: Producer,
  to: Target,
  cases: readonly Case[],
): Promise<Published> {
  const places = new Map<number, Place>()
  const good: Good[] = []
  const goodSeq = new Map<number, number>()

  const goodMessage = (partition: number) => {
    const seq = (goodSeq.get(partition) ?? 0) + 1
    goodSeq.set(partition, seq)
    const sensor = to.goodSensor(partition)
    const value = (to.goodValue ?? goodReading)(sensor)
    good.push({ sensor, partition, seq, value })
    return { partition, key: Buffer.from(sensor), value, headers: { 'run-id': to.goodRun, seq: String(seq) } }
  }
  const send = async (partition: number, messages: ReturnType<typeof toMessage>[]) => {
    const [answer] = await producer.send({ topic: to.topic, acks: -1, messages })
    if (answer?.partition !== partition || answer.errorCode !== 0) {
      throw new Error(`Cannot publish to ${to.topic}-${partition}: the broker said ${JSON.stringify(answer)}`)
    }
    return Number(answer.baseOffset)
  }
  const publish = async (partition: number, batch: Case[]) => {
    const messages: ReturnType<typeof toMessage>[] = [goodMessage(partition)]
    for (const one of batch) messages.push(toMessage(one, partition), goodMessage(partition))
    const base = await send(partition, messages)
    for (const [i, one] of batch.entries()) places.set(one.id, { partition, offset: base + 1 + 2 * i })
  }

  const waiting: Case[][] = Array.from({ length: to.partitions }, () => [])
  for (const one of cases) {
    const partition = one.key === null ? 0 : Number(Bun.hash(one.key) % BigInt(to.partitions))
    if (one.expected.end === 'refused') {
      await mustRefuse(() => send(partition, [toMessage(one, partition)]), one)
      places.set(one.id, { partition, offset: null })
      continue
    }
    const batch = waiting[partition] ?? []
    if (batch.length === BATCH_CASES || sizeOf(batch) + sizeOf([one]) > BATCH_BYTES) {
      await publish(partition, batch.splice(0))
    }
    batch.push(one)
  }
  for (const [partition, batch] of waiting.entries()) await publish(partition, batch)
  return { places, good }
}

async function mustRefuse(send: () => Promise<number>, one: Case): Promise<void> {
  const taken = await send().then(
    () => true,
    (error: Error) => {
      if (/larger than the max message size/.test(error.message)) return false
      throw error
    },
  )
  if (taken)
    throw new Error(`Cannot publish case ${one.id} (${one.what}): the broker took what it should refuse`)
}

function toMessage(one: Case, partition: number) {
  return { partition, key: one.key, value: one.value() as Buffer | string | null, headers: one.headers }
}

function sizeOf(batch: Case[]): number {
  return batch.reduce((sum, one) => sum + (one.value()?.length ?? 0) + JSON.stringify(one.headers).length, 0)
}

function goodReading(sensor: string): Buffer {
  return Buffer.from(
    JSON.stringify({
      timestamp: new Date().toISOString(),
      sensor_id: sensor,
      sensor_type: 'pressure',
      location: { factory_section: 'production', machine_id: 'machine-001', zone: 'zone-a' },
      value: 1013.25,
      unit: 'hPa',
    }),
  )
}

/** The end of a case in words: what is expected, and what is printed. */
export function endName({ expected }: Pick<Case, 'expected'>): string {
  if (expected.end === 'stored') {
    const { flags, second } = expected
    return [flags, ...(second ? [second] : [])].map((f) => ['stored', ...f].join(' ')).join(' and ')
  }
  return expected.end === 'dead_letter' ? `dead letter ${expected.reason}` : expected.end
}
