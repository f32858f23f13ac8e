import type { Partition, Snapshot } from '../../snapshot.ts'
import { empty, grid, panel } from '../panel.ts'
import { h, type Element } from '../tree.ts'
import { age, DASH, number, rate, seconds, status, type Tone } from '../words.ts'

/** An owner that changed this lately is marked. */
const MOVED_MS = 60_000

/** Section 4: each partition of the log: where it lives, who reads it, how far, how late. */
export function partitions(s: Snapshot, now: number): Element {
  const list = s.partitions.data ?? []
  return panel(
    'partitions',
    'Partitions',
    s.partitions,
    now,
    list.length === 0
      ? empty('No partition is known yet. Create the topics:', 'bun run topics')
      : grid(
          'Partitions: leader, copies in sync, owner, lag',
          [
            'Partition',
            'Verdict',
            'Owner',
            'Lag',
            'Waiting',
            'Rate',
            'Stored to',
            'End',
            'Leader',
            'In sync',
            'Repeats',
            'Stored',
          ],
          list.map((p) => ({
            key: `${p.topic}-${p.partition}`,
            id: `partition-${p.topic}-${p.partition}`,
            className: p.consumer_id === null ? 'unassigned' : '',
            cells: [
              `${p.topic} ${p.partition}`,
              status(toneOf(p), p.stopped === null ? p.verdict : 'STOPPED', {
                title: p.stopped ?? `rule ${p.rule}`,
              }),
              owner(p, now),
              number(p.lag),
              seconds(p.lag_seconds),
              rate(p.messages_per_second),
              number(p.next_offset),
              number(p.end_offset),
              p.leader === null
                ? p.replicas.length > 0
                  ? status('critical', 'none')
                  : DASH
                : `broker ${p.leader}`,
              p.replicas.length === 0
                ? DASH
                : status(
                    p.isr.length < p.replicas.length ? 'warning' : 'normal',
                    `${p.isr.length}/${p.replicas.length}`,
                  ),
              number(p.repeated),
              p.updated_at === null ? 'never' : age(p.updated_at, now),
            ],
          })),
        ),
  )
}

function owner(p: Partition, now: number): Element {
  if (p.consumer_id === null)
    return status('stale', 'unassigned', p.last_owner ? { title: `last: ${p.last_owner}` } : {})
  const moved = p.claimed_at !== null && now - Date.parse(p.claimed_at) < MOVED_MS
  return h(
    'span',
    { class: moved ? 'moved' : null },
    p.consumer_id,
    moved ? h('small', null, ' new owner') : null,
  )
}

function toneOf(p: Partition): Tone {
  if (p.stopped !== null) return 'critical'
  return p.verdict === 'OK' ? 'normal' : p.verdict === 'WARN' ? 'warning' : 'critical'
}
