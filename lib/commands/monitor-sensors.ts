import { styleText } from 'node:util'
import { latestReadings } from '../monitor/questions/sensors.ts'
import { LEVELS } from '../reading.ts'
import { EXIT, Stop } from '../run.ts'
import { command, positiveFlag } from './command.ts'
import { tail } from './tail.ts'

const HELP = `bun run monitor-sensors [TYPE]: readings as they are stored, at most one a sensor and second, until Ctrl-C.

  TYPE         only sensors of this type: temperature, vibration, energy, humidity, pressure …
  --count N    end after N lines
  --json       one JSON object a line
  --help       this text

exit 0 ended · 2 usage · 69 PostgreSQL is not there · 78 configuration`

/** Sensors whose newest reading is older than this are not a live tail. */
const RECENT_S = 15

await command({
  help: HELP,
  words: 1,
  options: { json: { type: 'boolean' }, count: { type: 'string' } },
  main: async (values, [type], signal) => {
    if (type !== undefined && !/^[a-z][a-z0-9_.-]{0,31}$/.test(type)) {
      throw new Stop(`Cannot show sensors: a type is a lower-case word: got "${type}"`, EXIT.usage)
    }
    return tail({
      name: 'monitor-sensors',
      json: values.json === true,
      count: positiveFlag('count', values.count),
      signal,
      look: async (sql) => {
        const rows = await latestReadings(sql, RECENT_S)
        return rows
          .filter((r) => type === undefined || r.sensor_type === type)
          .sort((a, b) => a.updated_at.localeCompare(b.updated_at) || a.sensor_id.localeCompare(b.sensor_id))
          .map((r) => {
            const level = LEVELS[r.level] ?? 'normal'
            const colour = level === 'critical' ? 'red' : level === 'warning' ? 'yellow' : 'gray'
            const shape = level === 'critical' ? '■' : level === 'warning' ? '▲' : '○'
            const value = `${r.value.toFixed(2)} ${r.unit}`
            return {
              id: `${r.sensor_id} ${r.partition} ${r.offset}`,
              line: `${r.measured_at.slice(11, 23)}  ${r.sensor_id.padEnd(24)} ${value.padStart(14)}  ${styleText(colour, `${shape} ${level}`.padEnd(10), { stream: process.stdout })}  ${r.machine_id} ${r.zone}`,
              data: {
                timestamp: r.measured_at,
                sensor_id: r.sensor_id,
                sensor_type: r.sensor_type,
                location: { factory_section: r.factory_section, machine_id: r.machine_id, zone: r.zone },
                value: r.value,
                unit: r.unit,
                alert_level: level,
                quality: r.quality,
              },
            }
          })
      },
    })
  },
})
