import { contentOf } from '../../chaos/judge/content.ts'
import type { Evidence, LogMessage } from '../../chaos/judge/evidence.ts'

/** A small run in which everything is as it must be: one sensor, ten readings, one alarm, one consumer killed on the way. */
export const TOPIC = 'sensor-data'
const BEGAN = Date.UTC(2026, 0, 1)
const VALUES = [20, 21, 36, 37, 22, 21, 20, 20, 21, 20]
const RULE = { id: 'temperature.high', kind: 'limit', side: 'high', limit: 35, deadband: 1.25 } as const
/** uuidv5 of the rule, the sensor and the place where the episode began */
const ALARM = 'ad6f4880-3741-5a0d-8677-a1b0b8cc03c8'

export function messageOf(offset: number, value: number, seq: number): LogMessage {
  const at = BEGAN + seq * 1000
  const text = JSON.stringify({
    timestamp: new Date(at).toISOString(),
    sensor_id: 'temp-1',
    sensor_type: 'temperature',
    location: { factory_section: 'production', machine_id: 'machine-001', zone: 'zone-a' },
    value,
    unit: '°C',
    quality: 1,
  })
  return {
    topic: TOPIC,
    partition: 0,
    offset,
    appendedAtMs: at + 5,
    key: 'temp-1',
    run: 'run-1',
    seq,
    content: contentOf(Buffer.from(text)),
  }
}

const printOf = ({ content }: LogMessage) => (content.is === 'good' ? content.print : 0n)

export function soundRun(): Evidence {
  const log = VALUES.map((value, i) => messageOf(i, value, i + 1))
  const place = { topic: TOPIC, partition: 0 }
  return {
    accepted: [{ run: 'run-1', sensor: 'temp-1', first: 1, prints: log.map(printOf), given_up: null }],
    sends: [
      {
        at: BEGAN,
        outcome: 'acked',
        topic: TOPIC,
        messages: log.map((m) => ({ partition: 0, key: 'temp-1', seq: m.seq })),
        answer: [{ partition: 0, base: 0 }],
      },
    ],
    faults: [{ at: BEGAN + 30_000, ended: BEGAN + 31_000, kind: 'consumer.kill', target: 'consumer-1' }],
    positions: [0, 4, 10].map((next, i) => ({
      ...place,
      at: BEGAN + i * 1000,
      next,
      epoch: 1,
      owner: 'consumer-2',
    })),
    answers: [0, 1, 2].map((i) => ({
      at: BEGAN + i * 4000,
      ms: 3,
      path: '/api/system-status',
      status: 200,
      ages: { consumers: 1 },
      consumers: [{ id: 'consumer-2', status: 'active' }],
    })),
    processes: [0, 1, 2].map((i) => ({
      at: BEGAN + i * 5000,
      name: 'consumer-2',
      pid: 7,
      rssBytes: 80e6,
      fds: 30,
    })),
    log,
    ends: [{ ...place, low: 0, high: 10 }],
    alerts: [{ id: ALARM, state: 'raised', sensor: 'temp-1', partition: 0, offset: 0 }],
    tables: {
      rows: log.map((m) => ({
        ...place,
        offset: m.offset,
        run: 'run-1',
        sensor: 'temp-1',
        seq: m.seq,
        print: printOf(m),
      })),
      letters: [],
      alarms: [{ ...place, id: ALARM, rule: RULE.id, sensor: 'temp-1', offset: 2, clearedOffset: 5 }],
      progress: [
        {
          ...place,
          next: 10,
          owner: 'consumer-2',
          stopped: null,
          stored: 10,
          dead_lettered: 0,
          repeated: 0,
          conflicting: 0,
          missing: 0,
          filled: 0,
        },
      ],
      gaps: 0,
      unsent: 0,
      rebalances: [
        { at: BEGAN + 500, consumer: 'consumer-1', type: 'rebalance_complete', assigned: [`${TOPIC}/0`] },
        { at: BEGAN + 41_000, consumer: 'consumer-2', type: 'rebalance_complete', assigned: [`${TOPIC}/0`] },
      ],
      books: [{ version: 1, rules: [RULE] }],
      activations: [{ ...place, version: 1, from: 0 }],
    },
    texts: new Map([['consumer-2.log', '{"message":"batch.stored"}\n']]),
    secrets: ['canary-secret'],
  }
}
