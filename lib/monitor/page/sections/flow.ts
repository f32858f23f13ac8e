import { isAlive } from '../../health.ts'
import type { Snapshot } from '../../snapshot.ts'
import { sparkline } from '../chart.ts'
import { panel } from '../panel.ts'
import { h, type Child, type Element } from '../tree.ts'
import { milliseconds, number, rate, seconds, status, type Tone } from '../words.ts'

/** Section 2: the journey in one line, what flows on each arrow, and where it is broken. */
export function flow(s: Snapshot, now: number): Element {
  const f = s.flow.data
  const producers = s.producers.data ?? []
  const consumers = s.consumers.data ?? []
  const up = (list: readonly { status: Parameters<typeof isAlive>[0] }[]) =>
    list.filter((m) => isAlive(m.status)).length
  // Who said goodbye is not missed.
  const expected = (list: readonly { status: string }[]) =>
    list.filter((m) => m.status !== 'stopped' && m.status !== 'finished').length
  const kafka = s.kafka.data
  return panel(
    'flow',
    'Flow',
    s.flow,
    now,
    h(
      'ol',
      { class: 'flow', key: 'stages' },
      stage('Producers', members(up(producers), expected(producers)), `${number(f?.spooled)} wait on disk`),
      arrow(rate(f?.produced_per_second), 'from producers to Kafka'),
      stage(
        'Kafka',
        s.kafka.status === 'error'
          ? status('critical', 'away')
          : kafka
            ? status('normal', `${kafka.brokers.length} brokers`)
            : status('stale', 'unknown'),
        f?.lag === null || f === null ? '— waiting' : `${number(f.lag)} wait, ${seconds(f.lag_seconds)}`,
      ),
      arrow(rate(f?.appended_per_second), 'appended to Kafka'),
      stage(
        'Consumers',
        members(up(consumers), expected(consumers)),
        `${number(s.partitions.data?.length)} partitions`,
      ),
      arrow(rate(f?.stored_per_second), 'from consumers to PostgreSQL'),
      stage(
        'PostgreSQL',
        s.consumers.status === 'error'
          ? status('critical', 'away')
          : s.consumers.data
            ? status('normal', 'stores')
            : status('stale', 'unknown'),
        `end to end ${milliseconds(f?.end_to_end_ms_p50)}, p99 ${milliseconds(f?.end_to_end_ms_p99)}`,
      ),
    ),
    h(
      'p',
      { class: 'history', key: 'history' },
      'stored per second, last ten minutes ',
      sparkline(
        (f?.history ?? []).map((p) => p.stored_per_second),
        'stored per second',
        240,
      ),
    ),
  )
}

function members(up: number, total: number): Element {
  const tone: Tone = total === 0 ? 'stale' : up === 0 ? 'critical' : up < total ? 'warning' : 'normal'
  return status(tone, total === 0 ? 'none seen' : `${up} of ${total} up`)
}

function stage(name: string, state: Child, note: string): Element {
  return h('li', { class: 'stage', key: name }, h('strong', null, name), ' ', state, h('small', null, note))
}

function arrow(text: string, label: string): Element {
  return h(
    'li',
    { class: 'arrow', key: label },
    h('span', { 'aria-hidden': 'true' }, '→ '),
    h('span', { title: label }, text),
  )
}
