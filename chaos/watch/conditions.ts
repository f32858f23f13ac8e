import { behindIn, storedIn, sumOf, type Sample } from './sample.ts'

/**
 * What a script can wait for, by name: true once the newest sample shows it. `since` is the sample at the strike, or at
 * the healing; `all` are the samples from there on, the newest last.
 */
export type Condition = (
  seen: { now: Sample; since: Sample; all: readonly Sample[] },
  ...words: string[]
) => boolean

/** An answer older than this says nothing about now. */
const FRESH_MS = 2500
/** SPEC of all bounds: "to lag < 2 s and all green" */
const LAG_S = 2

export const CONDITIONS: Record<string, Condition> = {
  // ── Kafka ──
  /** isr-without NODE: some partition has lost just this copy */
  'isr-without': ({ now }, node) =>
    isFresh(now.kafka, now) && now.kafka.isr.some((isr) => !isr.includes(nodeNumber(node))),
  'isr-full': ({ now }) =>
    isFresh(now.kafka, now) && now.kafka.isr.length > 0 && now.kafka.isr.every((isr) => isr.length === 3),
  /** leader-moved PARTITION NODE: another node leads it */
  'leader-moved': ({ now }, partition, node) => {
    const leader = now.kafka?.leader[Number(partition)] ?? -1
    return isFresh(now.kafka, now) && leader > 0 && leader !== nodeNumber(node)
  },
  'member-gone': ({ now }, name = '') => isFresh(now.kafka, now) && !now.kafka.members.includes(name),
  members: ({ now }, count) => isFresh(now.kafka, now) && now.kafka.members.length === Number(count),
  /** Kafka as a whole does not answer */
  'kafka-silent': ({ now, since }) => now.t - (now.kafka?.at ?? since.t) > FRESH_MS,
  refused: ({ now }, name = '') => now.ports[name] === false,
  answers: ({ now }, name = '') => now.ports[name] === true,

  // ── PostgreSQL ──
  'database-silent': ({ now, since }) => now.t - (now.database?.at ?? since.t) > FRESH_MS,
  /** owner-moved CONSUMER: what it held at the strike is stored by others */
  'owner-moved': ({ now, since }, consumer) => {
    const held = since.database?.partitions.filter((p) => p.owner === consumer) ?? []
    return (
      isFresh(now.database, now) &&
      held.length > 0 &&
      held.every((before) => {
        const after = now.database?.partitions.find((p) => p.partition === before.partition)
        return after !== undefined && after.owner !== consumer && after.next > before.next
      })
    )
  },
  /** claims N: partitions were claimed anew so often */
  claims: ({ now, since }, count) => claims(now) - claims(since) >= Number(count),
  /** backends-new: not one connection of a consumer is what it was */
  'backends-new': ({ now, since }) =>
    isFresh(now.database, now) &&
    now.database.backends.length > 0 &&
    (since.database?.backends.length ?? 0) > 0 &&
    now.database.backends.every((pid) => !since.database?.backends.includes(pid)),
  /** partition-stands CONSUMER SECONDS: what it held at the strike is not stored any further */
  'partition-stands': ({ now, since, all }, consumer, seconds) => {
    const held = since.database?.partitions.filter((p) => p.owner === consumer).map((p) => p.partition) ?? []
    const next = (one: Sample) =>
      one.database?.partitions.reduce((sum, p) => sum + (held.includes(p.partition) ? p.next : 0), 0) ?? 0
    return isFresh(now.database, now) && held.length > 0 && stands(all, now, Number(seconds), next)
  },
  /** nothing in a spool, nothing behind */
  drained: ({ now }) =>
    isFresh(now.kafka, now) &&
    isFresh(now.database, now) &&
    sumOf(now, 'spooled') === 0 &&
    behindIn(now) === 0,
  /** dead-letters N: so many more than at the strike */
  'dead-letters': ({ now, since }, count) => deadLetters(now) - deadLetters(since) >= Number(count),
  'topic-stopped': ({ now }) => now.database?.partitions.some((p) => p.stopped) === true,
  'wrong-times': ({ now, since }, count) =>
    (now.database?.wrongTimes ?? 0) - Math.max(0, since.database?.wrongTimes ?? 0) >= Number(count),
  'alarms-at-most': ({ now, since }, count) =>
    (now.database?.alarms ?? 0) - (since.database?.alarms ?? 0) <= Number(count),

  /** slow MS: for five seconds no answer of PostgreSQL was faster */
  slow: ({ now, all }, ms) => {
    const lately = all.filter((one) => one.t > now.t - 5000)
    const answers = new Set(lately.map((one) => one.database))
    return (
      (all[0]?.t ?? now.t) <= now.t - 5000 &&
      answers.size > 1 &&
      [...answers].every((answer) => (answer?.tookMs ?? 0) >= Number(ms))
    )
  },

  // ── the flow ──
  accepted: ({ now, since }, count) => sumOf(now, 'accepted') - sumOf(since, 'accepted') >= Number(count),
  'accepted-by': ({ now, since }, name, count) =>
    sumOf(now, 'accepted', name) - sumOf(since, 'accepted', name) >= Number(count),
  acked: ({ now, since }, count) => sumOf(now, 'sent') - sumOf(since, 'sent') >= Number(count),
  stored: ({ now, since }, count) => storedIn(now) - storedIn(since) >= Number(count),
  spooled: ({ now }, count) => sumOf(now, 'spooled') >= Number(count),
  'spool-empty': ({ now }, name, count) => sumOf(now, 'spooled', name) <= Number(count),
  /** accepted-stands NAME SECONDS */
  'accepted-stands': ({ now, all }, name, seconds) =>
    stands(all, now, Number(seconds), (one) => sumOf(one, 'accepted', name)),
  'acks-stand': ({ now, all }, seconds) => stands(all, now, Number(seconds), (one) => sumOf(one, 'sent')),
  'stored-stands': ({ now, all }, seconds) => stands(all, now, Number(seconds), storedIn),
  /** rate NAME N: that producer accepts at least N readings a second */
  rate: ({ now, all }, name, count) => {
    const before = all.findLast((one) => one.t <= now.t - 3000)
    if (!before) return false
    const more = sumOf(now, 'accepted', name) - sumOf(before, 'accepted', name)
    return (more * 1000) / (now.t - before.t) >= Number(count)
  },

  passed: ({ now, since }, seconds) => now.t - since.t >= Number(seconds) * 1000,

  // ── the monitor ──
  api: ({ now }, status) => now.api === Number(status),

  /** green MEMBERS RATE: every copy in sync, every member there, every partition moving, less than 2 s behind */
  green: (seen, members, rate) => shortOfGreen(seen, Number(members), Number(rate)).length === 0,
}

/** What is not well yet, in words; empty where all is green. */
export function shortOfGreen(
  { now, since }: { now: Sample; since: Sample },
  members: number,
  rate: number,
): string[] {
  const faults: string[] = []
  if (!isFresh(now.kafka, now)) return ['Kafka does not answer']
  if (!isFresh(now.database, now)) return ['PostgreSQL does not answer']
  const { isr, members: there } = now.kafka
  if (isr.length === 0 || isr.some((copies) => copies.length < 3))
    faults.push(`copies in sync ${JSON.stringify(isr)}`)
  if (there.length !== members) faults.push(`members ${there.join(', ') || 'none'}`)
  const behind = behindIn(now) ?? 0
  if (behind > LAG_S * rate) faults.push(`${behind} messages not stored`)
  const spooled = sumOf(now, 'spooled')
  if (spooled > LAG_S * rate) faults.push(`${spooled} readings in the spools`)
  for (const p of now.database.partitions) {
    const before = since.database?.partitions.find((one) => one.partition === p.partition)
    if (p.stopped) faults.push(`partition ${p.partition} is stopped`)
    else if (!before || (p.next <= before.next && p.epoch <= before.epoch))
      faults.push(`partition ${p.partition} does not move`)
  }
  if (now.api !== 200) faults.push(`/readyz answers ${now.api}`)
  return faults
}

function isFresh<T extends { at: number }>(section: T | null, now: Sample): section is T {
  return section !== null && now.t - section.at < FRESH_MS
}

/** kafka2 → 2 */
function nodeNumber(name = ''): number {
  return Number(name.replace(/^\D+/, ''))
}

function deadLetters(sample: Sample): number {
  const { partitions = [], deadElsewhere = 0 } = sample.database ?? {}
  return partitions.reduce((sum, p) => sum + p.dead, deadElsewhere)
}

function claims(sample: Sample): number {
  return sample.database?.partitions.reduce((sum, p) => sum + p.epoch, 0) ?? 0
}

function stands(
  all: readonly Sample[],
  now: Sample,
  seconds: number,
  value: (one: Sample) => number,
): boolean {
  const before = all.findLast((one) => one.t <= now.t - seconds * 1000)
  return before !== undefined && value(before) === value(now)
}
