import type { Happening, Sample } from '../../chaos/watch/sample.ts'

/** A sample of a plant that is well, as the observer would write it `t` milliseconds after the first; parts replaced by `change`. */
export function sample(t: number, change: Partial<Sample> = {}): Sample {
  const count = t / 10 // a hundred readings a second
  return {
    t,
    spool: { plant: { accepted: count, sent: count, spooled: 0 } },
    kafka: {
      at: t,
      tookMs: 5,
      isr: [
        [1, 2, 3],
        [1, 2, 3],
        [1, 2, 3],
      ],
      leader: [1, 2, 3],
      high: [count, count, count],
      members: ['consumer-1', 'consumer-2', 'consumer-3'],
      brokers: [1, 2, 3],
    },
    database: {
      at: t,
      tookMs: 5,
      partitions: [0, 1, 2].map((partition) => ({
        partition,
        owner: `consumer-${partition + 1}`,
        next: count,
        epoch: 1,
        stored: count,
        dead: 0,
        repeated: 0,
        stopped: false,
      })),
      backends: [11, 12, 13],
      alarms: 0,
      deadElsewhere: 0,
      wrongTimes: -1,
    },
    ports: { kafka1: true, postgres: true },
    api: 200,
    memory: { 'consumer-1': 80, kafka1: 400 },
    ...change,
  }
}

export function happening(t: number, event: string, what = '', by = 'broker-failure'): Happening {
  return { t, event, by, what }
}
