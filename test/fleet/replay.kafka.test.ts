import { afterAll, beforeAll, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startPlant, type Plant } from '../failure/plant.ts'
import { STACK_MS } from '../stack.ts'

/** A real recording, sent as history, is in the database time for time and value for value. */
const ROOT = join(import.meta.dir, '../..')
const OPEN = join(ROOT, '../shared/data/open')
/** replay.test.ts says where they must be there */
const recordings = existsSync(OPEN)
  ? ['nab/realKnownCause/ambient_temperature_system_failure.csv', 'skab/valve1/0.csv']
  : []

let plant: Plant
beforeAll(async () => {
  plant = await startPlant({ rate: 50 })
  await plant.untilFlowing(60_000)
}, STACK_MS + 60_000)
afterAll(() => plant?.stop(), 60_000)

test.each(recordings.map((file) => join(OPEN, file)))(
  'replay --time keep of %s is stored complete',
  async (file) => {
    const child = Bun.spawn(
      [
        'bun',
        'run',
        'producer.ts',
        '--replay',
        file,
        '--time',
        'keep',
        '--speed',
        'max',
        '--sensor-id',
        'rec',
      ],
      {
        cwd: ROOT,
        env: { ...process.env, ...plant.env, PRODUCER_ID: 'recording' },
        stdout: 'ignore',
        stderr: 'pipe',
      },
    )
    const said = await new Response(child.stderr).text()
    expect({ code: await child.exited, said }).toMatchObject({ code: 0 })

    const { columns, rows } = parse(readFileSync(file, 'utf8'))
    const report = await plant.verify()
    expect(report).toMatchObject({ lost: 0, duplicated: 0, phantom: 0 })
    for (const [i, column] of columns.entries()) {
      const id = columns.length === 1 ? 'rec' : `rec.${column.replace(/[^A-Za-z0-9._:-]+/g, '_')}`
      const stored = await plant.sql`
      select to_char(measured_at at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS') as at, value from readings
      join sensors using (sensor_key) where sensor_id = ${id} order by run_key, seq`
      expect(stored.map((r) => [r.at, r.value])).toEqual(rows.map((r) => [r.at, r.values[i]]))
    }
    const alerts = await plant.sql`select count(*)::int as n from alerts where sensor_id like 'rec%'`
    expect(alerts[0]?.n).toBe(0)
  },
  120_000,
)

/** The plainest reading of the file that there is, to compare with. */
function parse(text: string) {
  const [head = '', ...lines] = text.trim().split(/\r?\n/)
  const separator = head.includes(';') ? ';' : ','
  const columns = head.split(separator).slice(1)
  const rows = lines.map((line) => {
    const [at = '', ...values] = line.split(separator)
    return { at: at.slice(0, 19), values: values.map(Number) }
  })
  return { columns, rows }
}
