import type { z } from 'zod'
import type { deadLetterList } from '../answers/logbook.ts'
import type { Snapshot } from '../snapshot.ts'
import { frame } from './frame.ts'
import { empty, grid, panel } from './panel.ts'
import { h, type Element } from './tree.ts'
import { moment, number } from './words.ts'

/** What could not become readings, by reason, and how to bring it back. */
export function deadLettersPage(s: Snapshot, list: z.infer<typeof deadLetterList>): Element {
  const now = Date.parse(s.at)
  const section = { ...list, data: list.dead_letters }
  return frame(
    s,
    '/dead-letters',
    panel(
      'reasons',
      'Dead letters by reason',
      section,
      now,
      list.by_reason.length === 0
        ? empty('There is none: every message became a reading.')
        : [
            grid(
              'By reason',
              ['Reason', 'Messages', 'Sent again'],
              list.by_reason.map((r) => ({
                key: r.reason,
                cells: [
                  h('a', { href: `/dead-letters?reason=${encodeURIComponent(r.reason)}` }, r.reason),
                  number(r.count),
                  number(r.redriven),
                ],
              })),
            ),
            h(
              'p',
              { class: 'empty' },
              'Look, then bring back what can be read now: ',
              h('code', null, 'bun run dlt redrive --reason REASON --dry-run'),
            ),
          ],
    ),
    list.dead_letters.length === 0
      ? null
      : panel(
          'letters',
          'Newest',
          section,
          now,
          grid(
            'Dead letters',
            ['Number', 'When', 'Reason', 'What', 'From', 'Bytes'],
            list.dead_letters.map((d) => ({
              key: String(d.dead_letter_id),
              cells: [
                h('a', { href: `/api/dead-letters/${d.dead_letter_id}` }, d.dead_letter_id),
                moment(d.recorded_at),
                d.reason,
                d.message,
                d.partition === null
                  ? `${d.topic} (never sent)`
                  : `${d.topic} ${d.partition}, offset ${d.offset}`,
                number(d.value_bytes),
              ],
            })),
          ),
        ),
  )
}
