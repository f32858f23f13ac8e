import type { Cluster, Ends } from './cluster.ts'
import { isAlive } from './health.ts'
import { lagSeconds, lagVerdict, type Commit, type EndSeen } from './lag.ts'
import type { ProgressRow } from './questions/progress.ts'
import type { Rates } from './rates.ts'
import type { Consumer, Partition } from './snapshot.ts'

/**
 * What was seen of each partition lately, so that its lag can be told in seconds and judged without thresholds.
 * Consumers commit several times a second while there is work; one observation a second and a window of twelve say STOP
 * about twelve seconds after the last commit.
 */
const WINDOW = 12
const MIN_DISTANCE_MS = 1000
/** 10 minutes of ends, one a second: how far back the waiting time of a message can be told exactly */
const ENDS_KEPT = 600

interface Memory {
  commits: Commit[]
  ends: EndSeen[]
}

export interface PartitionTracker {
  observe(progress: readonly ProgressRow[], ends: Ends, at: number): void
  view(input: {
    topics: readonly string[]
    progress: readonly ProgressRow[]
    ends: Ends | null
    cluster: Cluster | null
    consumers: readonly Omit<Consumer, 'lag'>[]
    rates: Rates
    now: number
  }): Partition[]
}

export function createPartitionTracker(): PartitionTracker {
  const memories = new Map<string, Memory>()
  const memoryOf = (key: string) => {
    const memory = memories.get(key) ?? { commits: [], ends: [] }
    memories.set(key, memory)
    return memory
  }
  return {
    observe(progress, ends, at) {
      for (const [topic, list] of ends) {
        for (const { partition, high } of list) {
          const memory = memoryOf(`${topic}-${partition}`)
          const last = memory.ends.at(-1)
          if (last && high < last.offset) memory.ends.length = 0 // the topic was made anew
          // A quiet log keeps two marks: when its end was first seen there, and when last.
          if (last && memory.ends.at(-2)?.offset === high && last.offset === high) last.at = at
          else memory.ends.push({ offset: high, at })
          if (memory.ends.length > ENDS_KEPT) memory.ends.shift()
        }
      }
      for (const row of progress) {
        const memory = memoryOf(`${row.topic}-${row.partition}`)
        const end = memory.ends.at(-1)
        const commit: Commit = {
          offset: row.next_offset,
          at: at - row.updated_age_s * 1000,
          lag: end ? Math.max(0, end.offset - row.next_offset) : null,
        }
        const last = memory.commits.at(-1)
        const before = memory.commits.at(-2)
        if (last && commit.offset === last.offset && commit.at - last.at < MIN_DISTANCE_MS / 2) {
          // The same commit seen again: a lag that has meanwhile grown is not the lag at its commit.
          if (last.lag === null) last.lag = commit.lag
        } else if (last && before && commit.at - before.at < MIN_DISTANCE_MS) {
          memory.commits[memory.commits.length - 1] = commit
        } else {
          memory.commits.push(commit)
          if (memory.commits.length > WINDOW) memory.commits.shift()
        }
      }
    },
    view({ topics, progress, ends, cluster, consumers, rates, now }) {
      const keys = new Map<string, { topic: string; partition: number }>()
      const add = (topic: string, partition: number) =>
        keys.set(`${topic}-${partition}`, { topic, partition })
      for (const row of progress) add(row.topic, row.partition)
      for (const topic of topics) for (const p of ends?.get(topic) ?? []) add(topic, p.partition)
      const alive = consumers.filter((c) => isAlive(c.status))
      return [...keys]
        .map(([key, { topic, partition }]): Partition => {
          const row = progress.find((p) => p.topic === topic && p.partition === partition)
          const seen = ends?.get(topic)?.find((p) => p.partition === partition)
          const state = cluster?.topics
            .find((t) => t.topic === topic)
            ?.partitions.find((p) => p.partition === partition)
          const memory = memoryOf(key)
          const end = seen ? Math.max(seen.high, row?.next_offset ?? 0) : null
          // Never stored from: everything that the log holds is waiting, not nothing.
          const next = row?.next_offset ?? seen?.low ?? null
          const lag = end === null || next === null ? null : Math.max(0, end - next)
          const waitingSince = row?.newest_measured_at ? Date.parse(row.newest_measured_at) : null
          const { verdict, rule } = lagVerdict(
            { commits: memory.commits, ends: memory.ends, size: WINDOW },
            now,
          )
          const holders = alive.filter((c) =>
            c.assigned_partitions.some((a) => a.topic === topic && a.partition === partition),
          )
          const holder = holders.find((c) => c.consumer_id === row?.owner) ?? holders[0]
          return {
            topic,
            partition,
            consumer_id: holder?.consumer_id ?? null,
            last_owner: row?.owner ?? null,
            leader: state?.leader ?? null,
            replicas: state?.replicas ?? [],
            isr: state?.isr ?? [],
            low_offset: seen?.low ?? null,
            end_offset: end,
            next_offset: row?.next_offset ?? null,
            lag,
            lag_seconds:
              next === null || lag === null ? null : lagSeconds(memory.ends, next, now, waitingSince),
            verdict,
            rule,
            epoch: row?.epoch ?? null,
            claimed_at: row?.claimed_at ?? null,
            updated_at: row?.updated_at ?? null,
            messages_per_second: rates.perSecond(`stored ${key}`, now),
            stored: row?.stored ?? 0,
            dead_lettered: row?.dead_lettered ?? 0,
            repeated: row?.repeated ?? 0,
            conflicting: row?.conflicting ?? 0,
            missing: row?.missing ?? 0,
            filled: row?.filled ?? 0,
            unidentified: row?.unidentified ?? 0,
            late: row?.late ?? 0,
            stopped: row?.stopped ?? null,
          }
        })
        .sort((a, b) => a.topic.localeCompare(b.topic) || a.partition - b.partition)
    },
  }
}
