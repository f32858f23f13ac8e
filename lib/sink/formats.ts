import { parquetReadObjects } from 'hyparquet'
import { parquetWriteBuffer } from 'hyparquet-writer'
import type { COLD_FORMATS } from '../stores.ts'
import { formatMicros, parseMicros } from '../time.ts'
import type { Row } from './row.ts'

/** How rows become the bytes of an object, and back. The same rows give the same bytes. */
export interface Format {
  extension: string
  type: string
  encode(rows: readonly Row[]): Promise<Uint8Array>
  decode(bytes: Uint8Array): Promise<Row[]>
}

export type FormatName = (typeof COLD_FORMATS)[number]

const ndjson: Format = {
  extension: 'ndjson.zst',
  type: 'application/zstd',
  encode: (rows) => Bun.zstdCompress(rows.map((row) => `${JSON.stringify(row)}\n`).join(''), { level: 3 }),
  async decode(bytes) {
    const text = (await Bun.zstdDecompress(bytes)).toString('utf8')
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Row)
  },
}

const TEXT = { type: 'BYTE_ARRAY', converted_type: 'UTF8' } as const
const MICROS = { type: 'INT64', converted_type: 'TIMESTAMP_MICROS' } as const
const NUMBER = { type: 'DOUBLE' } as const
const COUNT = { type: 'INT64' } as const

/** Parquet knows the times as times and the metadata as JSON text; the columns are those of a row. */
const COLUMNS = {
  timestamp: MICROS,
  sensor_id: TEXT,
  sensor_type: TEXT,
  factory_section: TEXT,
  machine_id: TEXT,
  zone: TEXT,
  value: NUMBER,
  unit: TEXT,
  quality: NUMBER,
  alert_level: TEXT,
  metadata: TEXT,
  topic: TEXT,
  partition: { type: 'INT32' },
  offset: COUNT,
  run_id: TEXT,
  seq: COUNT,
  appended_at: MICROS,
} as const satisfies Record<keyof Row, object>
const NULLABLE = new Set<string>(['alert_level', 'metadata', 'run_id', 'seq'])
const NAMES = Object.keys(COLUMNS) as (keyof Row)[]

const parquet: Format = {
  extension: 'parquet',
  type: 'application/vnd.apache.parquet',
  async encode(rows) {
    const schema = NAMES.map((name) => ({
      name,
      ...COLUMNS[name],
      repetition_type: NULLABLE.has(name) ? ('OPTIONAL' as const) : ('REQUIRED' as const),
    }))
    const columnData = NAMES.map((name) => ({ name, data: rows.map((row) => toCell(name, row[name])) }))
    const root = { name: 'root', num_children: NAMES.length }
    return new Uint8Array(
      parquetWriteBuffer({ schema: [root, ...schema], columnData, createdBy: 'smart-factory-pipeline' }),
    )
  },
  async decode(bytes) {
    const file = new Uint8Array(bytes).buffer
    // Its own parser would give a Date, which knows no microseconds.
    const parsers = { timestampFromMicroseconds: (micros: bigint) => formatMicros(Number(micros)) }
    const objects = await parquetReadObjects({ file, parsers: parsers as never })
    return objects.map((o) => ({
      ...(o as unknown as Row),
      offset: Number(o.offset),
      seq: o.seq === null || o.seq === undefined ? null : Number(o.seq),
      run_id: (o.run_id as string | null) ?? null,
      alert_level: (o.alert_level as string | null) ?? null,
      metadata: typeof o.metadata === 'string' ? (JSON.parse(o.metadata) as Row['metadata']) : null,
    }))
  },
}

function toCell(name: keyof Row, value: Row[keyof Row]): unknown {
  if (value === null) return null
  if (COLUMNS[name] === MICROS) return BigInt(parseMicros(String(value)))
  if (COLUMNS[name] === COUNT) return BigInt(value as number)
  return name === 'metadata' ? JSON.stringify(value) : value
}

export const formats: Record<FormatName, Format> = { ndjson, parquet }
