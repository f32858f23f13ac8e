/** Dates of a database row as ISO text (UTC, milliseconds): what JSON, pages and events carry. */
export function plain<T>(row: Record<string, unknown>): T {
  for (const key in row) {
    const value = row[key]
    if (value instanceof Date) row[key] = value.toISOString()
  }
  return row as T
}

export function plainAll<T>(rows: readonly Record<string, unknown>[]): T[] {
  return rows.map((row) => plain<T>(row))
}

export interface TopicPartition {
  topic: string
  partition: number
}
