import { groupVerdict } from '../../lag.ts'
import type { Snapshot } from '../../snapshot.ts'
import { empty, grid, panel } from '../panel.ts'
import { h, type Element } from '../tree.ts'
import { age, DASH, milliseconds, number, rate, status, toneOfMember, type Tone } from '../words.ts'

/** Section 3: who works on what, and whether it still beats. */
export function consumers(s: Snapshot, now: number): Element {
  const list = s.consumers.data ?? []
  const verdict = groupVerdict((s.partitions.data ?? []).map((p) => p.verdict))
  const tone: Tone = verdict === 'OK' ? 'normal' : verdict === 'WARN' ? 'warning' : 'critical'
  const group = s.kafka.data?.group
  return panel(
    'consumers',
    'Consumers',
    s.consumers,
    now,
    h(
      'p',
      { key: 'group' },
      'Group ',
      h('strong', null, group?.group_id ?? 'unknown'),
      ' ',
      status(tone, verdict),
      group ? ` · ${group.state} · ${group.members.length} members` : null,
    ),
    list.length === 0
      ? empty('No consumer has reported. Start one:', 'bun run consumer.ts')
      : grid(
          'Consumers',
          [
            'Consumer',
            'Status',
            'Partitions',
            'Rate',
            'Lag',
            'Batch',
            'Processed',
            'Heartbeat',
            'Last minute',
          ],
          list.map((c) => ({
            key: c.consumer_id,
            id: `consumer-${c.consumer_id}`,
            cells: [
              c.consumer_id,
              [
                status(toneOfMember(c.status), c.status),
                c.paused_reason ? h('small', null, ` ${c.paused_reason}`) : null,
                c.status === 'standby' ? h('small', null, ' no partition is left for it') : null,
              ],
              c.assigned_partitions.length === 0
                ? DASH
                : c.assigned_partitions.map((p) => `${p.topic} ${p.partition}`).join(', '),
              rate(c.messages_per_second),
              number(c.lag),
              `${milliseconds(c.processing_ms_mean)}, p99 ${milliseconds(c.processing_ms_p99)}`,
              number(c.total_messages_processed),
              age(c.last_heartbeat, now),
              beats(c.beats, c.status === 'stopped'),
            ],
          })),
        ),
  )
}

/** Who stopped on purpose missed nothing. */
function beats(list: readonly boolean[], isStopped: boolean): Element {
  const missed = list.filter((b) => !b).length
  let fresh = ''
  let lost = ''
  list.forEach((ok, i) => {
    const mark = `M${i * 2 + 1} ${ok ? 3 : 1}V${ok ? 9 : 11}`
    if (ok) fresh += mark
    else lost += mark
  })
  return h(
    'svg',
    {
      class: 'beats',
      viewBox: '0 0 120 12',
      role: 'img',
      'aria-label': `${missed} of the last ${list.length} seconds without a fresh heartbeat`,
    },
    fresh === '' ? null : h('path', { class: 'fresh', d: fresh }),
    lost === '' ? null : h('path', { class: isStopped ? 'stopped' : 'lost', d: lost }),
  )
}

/** Section 5: who sends, how much of what was expected, and what waits on its disk. */
export function producers(s: Snapshot, now: number): Element {
  const list = s.producers.data ?? []
  return panel(
    'producers',
    'Producers',
    s.producers,
    now,
    list.length === 0
      ? empty('No producer has reported. Start one:', 'bun run producer.ts')
      : grid(
          'Producers',
          ['Producer', 'Type', 'Status', 'Rate', 'Expected', 'Sent', 'On disk', 'Errors', 'Heartbeat'],
          list.map((p) => ({
            key: p.producer_id,
            id: `producer-${p.producer_id}`,
            cells: [
              p.producer_id,
              p.sensor_type ?? `fleet ${p.fleet}`,
              [
                status(toneOfMember(p.status), p.status),
                p.kafka_reachable === false ? h('small', null, ' Kafka out of reach') : null,
              ],
              rate(p.messages_per_second),
              rate(p.expected_per_second),
              number(p.total_messages_sent),
              number(p.spooled),
              p.last_error ? h('span', { title: p.last_error }, number(p.errors)) : number(p.errors),
              age(p.last_heartbeat, now),
            ],
          })),
        ),
  )
}
