import { styleText } from 'node:util'
import { recentJournal, type JournalRow } from '../monitor/questions/journal.ts'
import { recentRebalances, type RebalanceRow } from '../monitor/questions/rebalances.ts'
import { command, positiveFlag } from './command.ts'
import { tail, type Item } from './tail.ts'

const HELP = `bun run monitor-alerts: alarms as they are raised, acknowledged and cleared, and rebalances, until Ctrl-C.
Begins with the last twenty of each.

  --count N    end after N lines
  --json       one JSON object a line
  --help       this text

exit 0 ended · 2 usage · 69 PostgreSQL is not there · 78 configuration`

const LOOKED_AT = 200
const AT_FIRST = 20

/** Numbers of the first entries shown: older ones are not news. */
let floor: { entry: number; event: number } | null = null

await command({
  help: HELP,
  options: { json: { type: 'boolean' }, count: { type: 'string' } },
  main: (values, _words, signal) =>
    tail({
      name: 'monitor-alerts',
      json: values.json === true,
      count: positiveFlag('count', values.count),
      signal,
      look: async (sql) => {
        const [journal, rebalances] = [
          await recentJournal(sql, LOOKED_AT),
          await recentRebalances(sql, LOOKED_AT),
        ]
        floor ??= {
          entry: journal.at(AT_FIRST - 1)?.entry ?? 0,
          event: rebalances.at(AT_FIRST - 1)?.event_id ?? 0,
        }
        const { entry, event } = floor
        // Numbers are given before a transaction ends, so a lower one may appear after a higher: all are looked at again.
        return [
          ...journal.filter((j) => j.entry >= entry).map(ofJournal),
          ...rebalances.filter((r) => r.event_id >= event).map(ofRebalance),
        ]
          .sort((a, b) => a.at.localeCompare(b.at))
          .map((x) => x.item)
      },
    }),
})

function ofJournal(j: JournalRow): { at: string; item: Item } {
  const colour = j.transition !== 'raised' ? 'gray' : j.severity === 'critical' ? 'red' : 'yellow'
  const word = styleText(colour, `${j.transition === 'raised' ? '■' : '○'} ${j.transition}`.padEnd(14), {
    stream: process.stdout,
  })
  const who = j.transition === 'raised' || j.transition === 'cleared' ? '' : ` by ${j.actor}`
  return {
    at: j.recorded_at,
    item: {
      id: `journal ${j.entry}`,
      line: `${j.at.slice(11, 23)}  ${word} ${(j.severity ?? '').padEnd(8)} ${j.sensor_id.padEnd(24)} ${oneLine(j.reason ?? j.description ?? j.rule_id)}${who}`,
      data: { kind: 'alert', ...j },
    },
  }
}

function ofRebalance(r: RebalanceRow): { at: string; item: Item } {
  const names = (list: RebalanceRow['gained']) => list.map((p) => `${p.topic}-${p.partition}`).join(' ')
  const moved = [
    r.gained.length > 0 ? `took ${names(r.gained)}` : '',
    r.lost.length > 0 ? `gave up ${names(r.lost)}` : '',
    r.duration_ms === null ? '' : `${Math.round(r.duration_ms)} ms`,
  ].filter((part) => part !== '')
  const word = styleText('cyan', '◇ rebalance'.padEnd(14), { stream: process.stdout })
  return {
    at: r.at,
    item: {
      id: `rebalance ${r.event_id}`,
      line: `${r.at.slice(11, 23)}  ${word} ${''.padEnd(8)} ${r.consumer_id.padEnd(24)} ${r.event_type.replaceAll('_', ' ')}${moved.length > 0 ? `: ${moved.join(', ')}` : ''}`,
      data: { kind: 'rebalance', ...r },
    },
  }
}

/** What sensors and people wrote must not move the cursor of a terminal. */
function oneLine(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')
}
