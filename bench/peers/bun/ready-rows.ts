import { closeSql, connect, copyIn } from '../../../lib/db/connect.ts'

/** The limit, not a pipeline: rows made ready before, 10,000 in each transaction, straight into the table. No Kafka, no JSON. */
const { DATABASE_URL = '', READINGS = '0' } = process.env
const MOST = 10_000
const batches: Buffer[] = []
for (let from = 0; from < Number(READINGS); from += MOST) {
  let text = ''
  for (let i = from; i < Math.min(from + MOST, Number(READINGS)); i++)
    text += `temp-sensor-${String(i % 300).padStart(3, '0')}\ttemperature\t2026-01-01T00:00:00.${String(i % 1e6).padStart(6, '0')}Z\t${20 + (i % 997) / 100}\tnormal\t${i % 3}\t${i}\n`
  batches.push(Buffer.from(text))
}
const sql = connect(DATABASE_URL, { name: 'ready-rows', max: 1 })
for (const batch of batches) await sql.begin((tx) => copyIn(tx, 'copy peer_readings from stdin', batch))
await closeSql(sql)
