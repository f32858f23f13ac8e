import { asReading, encodeHeartbeat, encodeLineReading, FINISHED, type LineReading } from '../line.ts'
import { log } from '../log.ts'
import type { Reading } from '../reading.ts'
import type { Micros } from '../time.ts'
import { NO_PAST, wallClock, wentBack, type Clock, type Fleet, type Measured } from './fleet.ts'
import { createQueue } from './queue.ts'
import { createNoise } from './random.ts'
import { openOrder, type Order } from './soda-order.ts'
import type { LineSensor, LineTarget, SodaPlan } from './soda-plan.ts'

export interface SodaOptions {
  readingsTopic: string
  heartbeatTopic: string
  plan: SodaPlan
  seed: string
  clock?: Clock
}

type Sent = Measured<Reading | readonly []>

/** Between two readings of a line, and between two signs of life of a sensor: seconds (SPEC B3, B4). */
const READING_S = { least: 2, most: 5 }
const HEARTBEAT_S = { least: 1, most: 2 }
/** When the spool blocks, what falls due comes later with its true time; beyond this it never was, and work goes on now. */
const MAX_LATE_MICROS = 60_000_000
/** Something always falls due sooner. */
const LONGEST_MICROS = 10_000_000
const MAX_SLEEP_MS = 60_000
const BATCH_GAP_MS = 20

/**
 * Production lines: each takes readings until its target is met, all lines of all factories at once, while every sensor
 * gives signs of life beside them. When the last target is met each sensor says `finished`, and the fleet ends. An order
 * that was interrupted is gone on with: what was accepted counts.
 */
export function createSoda({
  plan,
  seed,
  clock = wallClock,
  ...topics
}: SodaOptions): Fleet<Reading | readonly []> {
  const counts = plan.lines.map(() => 0)
  let startedAt: Micros | null = null
  let endedAt: Micros | null = null

  return {
    name: 'soda',
    sensorType: null,
    async *readings(signal, past = NO_PAST) {
      for (const message of plan.warnings) log.warn('soda.config', { message })
      const order = openOrder(past, plan)
      plan.lines.forEach((line, i) => (counts[i] = order.made(line)))
      startedAt = clock.now()
      if (!order.isDone) yield* make(order, startedAt, signal)
      endedAt = clock.now()
    },
    results: () => summaryOf(plan, counts, endedAt === null || startedAt === null ? 0 : endedAt - startedAt),
  }

  async function* make(order: Order, from: Micros, signal: AbortSignal): AsyncGenerator<Sent[]> {
    const lines = plan.lines.map((line, i) => lineOf(line, i, order))
    const sensors = plan.sensors.map((sensor) => sensorOf(sensor, order))
    const members = [...sensors, ...lines]
    let queue = createQueue(members.map((member) => member.first(from)))
    while (!signal.aborted && lines.some((line) => !line.isComplete())) {
      const now = clock.now()
      if (wentBack('soda', queue.time(), now, LONGEST_MICROS))
        queue = createQueue(members.map((member) => now + member.pause()))
      const batch: Sent[] = []
      while (queue.time() <= now) {
        const member = members[queue.first()]
        const due = now - queue.time() > MAX_LATE_MICROS ? now : queue.time()
        if (member) batch.push(member.give(due))
        queue.replaceFirst(due + (member?.pause() ?? Infinity))
      }
      if (batch.length > 0) yield batch
      const waitMs = Math.max((queue.time() - clock.now()) / 1000, BATCH_GAP_MS)
      if (lines.some((line) => !line.isComplete())) await clock.sleep(Math.min(waitMs, MAX_SLEEP_MS), signal)
    }
    if (signal.aborted) return
    const now = clock.now()
    const last = sensors.map((sensor) => sensor.give(now, FINISHED))
    if (last.length > 0) yield [...last.slice(0, -1), { ...(last.at(-1) as Sent), memo: order.memoOfEnd() }]
  }

  /** The n-th reading and the pause before it are functions of n: an order gone on with is the one that it would have been. */
  function lineOf(line: LineTarget, i: number, order: Order) {
    const noise = createNoise(`${seed}/soda/${line.factoryId}/${line.sensorId}/${line.sodaName}`)
    const made = () => counts[i] ?? 0
    const pause = () => (made() < line.total ? between(READING_S, noise.uniform(1, made())) : Infinity)
    return {
      isComplete: () => made() >= line.total,
      first: (from: Micros) => from + pause(),
      pause,
      give(at: Micros): Sent {
        const count = made() + 1
        counts[i] = count
        const { factoryId, sensorId, tier, sodaName, total } = line
        const points = Math.floor(noise.uniform(2, count) * 101)
        const said: LineReading = { factoryId, sensorId, tier, sodaName, reading: points, count, total, at }
        return {
          topic: topics.readingsTopic,
          key: sensorId,
          reading: asReading(said),
          memo: order.memoOf(line, count),
          encode: () => encodeLineReading(said),
        }
      },
    }
  }

  function sensorOf({ sensorId, tier }: LineSensor, order: Order) {
    const noise = createNoise(`${seed}/soda/${sensorId}/heartbeat`)
    let beats = 0
    return {
      isComplete: () => true,
      first: (from: Micros) => from,
      pause: () => between(HEARTBEAT_S, noise.uniform(1, beats)),
      give(at: Micros, status = 'active'): Sent {
        beats++
        const text = encodeHeartbeat({ sensorId, tier, at, status })
        return {
          topic: topics.heartbeatTopic,
          key: sensorId,
          reading: [],
          memo: order.memo,
          encode: () => text,
        }
      },
    }
  }
}

function between({ least, most }: { least: number; most: number }, share: number): Micros {
  return Math.round((least + (most - least) * share) * 1e6)
}

function summaryOf(plan: SodaPlan, counts: readonly number[], micros: Micros): string[] {
  const made = counts.reduce((sum, count) => sum + count, 0)
  const wanted = plan.lines.reduce((sum, line) => sum + line.total, 0)
  const width = Math.max(0, ...plan.lines.map((line) => line.sodaName.length))
  return [
    `${made} of ${wanted} items on ${plan.lines.length} lines in ${plan.factories.length} factories, ${Math.round(micros / 1e6)} s`,
    ...plan.lines.map(
      (line, i) =>
        `  ${line.factoryId}  ${line.sensorId}  ${line.sodaName.padEnd(width)}  ${counts[i] ?? 0} of ${line.total}`,
    ),
  ]
}
