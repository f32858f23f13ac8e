import type { Snapshot } from '../../snapshot.ts'
import { empty, panel } from '../panel.ts'
import { h, type Child, type Element } from '../tree.ts'
import { bytes, moment, number, seconds, status } from '../words.ts'

/** Section 9: what everything stands on. */
export function system(s: Snapshot, now: number): Element {
  const kafka = s.kafka.data
  const db = s.storage.data
  const under = (kafka?.topics ?? [])
    .flatMap((t) => t.partitions)
    .filter((p) => p.isr.length < p.replicas.length).length
  return panel(
    'system',
    'System',
    s.storage,
    now,
    h(
      'dl',
      { key: 'facts' },
      fact(
        'Kafka',
        s.kafka.status === 'error'
          ? status('critical', 'does not answer')
          : kafka
            ? status('normal', 'answers')
            : status('stale', 'unknown'),
      ),
      fact(
        'Brokers',
        s.brokers.length === 0
          ? null
          : s.brokers.map((b) => [
              status(b.state === 'up' ? 'normal' : 'critical', `${b.id} ${b.state}`),
              ` ${b.host}:${b.port}${b.is_controller ? ' (controller)' : ''} `,
            ]),
      ),
      fact(
        'Partitions with too few copies',
        kafka ? status(under > 0 ? 'warning' : 'normal', number(under)) : null,
      ),
      fact(
        'PostgreSQL',
        s.storage.status === 'error'
          ? status('critical', 'does not answer')
          : db
            ? status('normal', db.version)
            : status('stale', 'unknown'),
      ),
      fact('Schema', db ? `migration ${db.schema_version}` : null),
      fact(
        'Database',
        db
          ? `${bytes(db.database_bytes)}, of it readings ${bytes(db.readings_bytes)} in ${db.reading_partitions} days`
          : null,
      ),
      fact('Roll-ups', db ? [bytes(db.rollup_bytes), ', up to ', moment(db.rolled_up_to)] : null),
      fact('Connections', db ? number(db.connections) : null),
      fact('Dead letters', db ? h('a', { href: '/dead-letters' }, number(db.dead_letters)) : null),
      fact(
        'Alarm transitions to publish',
        db
          ? `${number(db.outbox_unsent)}${db.outbox_oldest_age_s === null ? '' : `, the oldest for ${seconds(db.outbox_oldest_age_s)}`}`
          : null,
      ),
    ),
    h('h3', { key: 'events-title' }, 'Events'),
    events(s),
    h(
      'p',
      { class: 'links', key: 'links' },
      h('a', { href: '/metrics' }, 'Prometheus metrics'),
      ' · ',
      h('a', { href: '/openapi.json' }, 'OpenAPI'),
      ' · ',
      h('a', { href: '/readyz?verbose=1' }, 'readiness'),
    ),
  )
}

function fact(name: string, value: Child): Element {
  return h('div', { key: name }, h('dt', null, name), h('dd', null, value === null ? '—' : value))
}

function events(s: Snapshot): Element {
  const list = s.events.data ?? []
  if (list.length === 0) return empty('Nothing has happened.')
  return h(
    'ol',
    { class: 'events', key: 'events' },
    list
      .slice(0, 10)
      .map((e) =>
        h(
          'li',
          { key: String(e.event_id) },
          moment(e.at),
          ' ',
          e.severity === 'info'
            ? null
            : [status(e.severity === 'error' ? 'critical' : 'warning', e.severity), ' '],
          h('strong', null, e.source),
          ` ${e.message}`,
        ),
      ),
  )
}
