import { rowsOf } from '../../lib/ingest/rows.ts'

export interface Tables {
  progress: Map<number, Progress>
  rows: Row[]
  checkpoints: Map<number, { at_offset: number; version: number; state: Uint8Array }>
  activations: Map<string, { partition: number; version: number; from: number }>
  gaps: { partition: number; source: string; run: string; from: number; to: number }[]
  letters: { partition: number; offset: number; reason: string }[]
  alerts: Map<string, { offset: number; partition: number; cleared: number | null }>
  sensors: Record<string, unknown>[]
  runs: string[]
  topics: string[]
  events: string[]
}

export interface Progress {
  next_offset: number
  epoch: number
  owner: string
  stopped: string | null
  counters: Record<string, number>
}

export type Row = ReturnType<typeof rowsOf>[number] & { run: string | undefined }

export const newTables = (): Tables => ({
  progress: new Map(),
  rows: [],
  checkpoints: new Map(),
  activations: new Map(),
  gaps: [],
  letters: [],
  alerts: new Map(),
  sensors: [],
  runs: [],
  topics: [],
  events: [],
})

/** The server's own refusal, with its SQLSTATE. */
export class Refused extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message)
  }
}

/** What a statement may do: read, write at the COMMIT, wait for the lock of a row of partition_progress. */
export interface Scene {
  tables: Tables
  lock(partition: number, then: (error: Error | null) => void): void
  later(write: () => void): void
  unknown(what: string): void
}

type Done = (error: Error | null, rows?: unknown[]) => void

/**
 * Carries one statement out. It is known by its text, and its conditions are taken from there: a fence that is not in the text
 * is not in the model.
 */
export function execute(scene: Scene, text: string, params: readonly unknown[], done: Done): void {
  const { tables, lock, later } = scene
  const after = (pattern: RegExp) => Number(params[Number(pattern.exec(text)?.[1] ?? 0) - 1])
  const partition = after(/partition = \$(\d+)/)
  const json = () => JSON.parse(String(params[0])) as Record<string, unknown>[]

  if (text.startsWith('insert into partition_progress')) {
    const [, , where, low, owner] = params as [string, string, number, number, string]
    return lock(where, (error) => {
      if (error) return done(error)
      const row = tables.progress.get(where)
      if (row?.stopped && text.includes('where partition_progress.stopped is null')) return done(null, [])
      const next = {
        next_offset: row?.next_offset ?? low,
        epoch: (row?.epoch ?? 0) + 1,
        owner,
        stopped: null,
        counters: row?.counters ?? {},
      }
      later(() => tables.progress.set(where, next))
      done(null, [{ next_offset: next.next_offset, epoch: next.epoch, moved_ms: Date.now() }])
    })
  }
  if (/^(with moved as \()?update partition_progress set next_offset =/.test(text))
    return move(scene, text, params, done)
  if (text.startsWith('update partition_progress set stopped'))
    return (
      later(() => {
        tables.events.push(`stopped: ${String(params[0])}`)
        Object.assign(tables.progress.get(partition) ?? {}, { stopped: params[0] })
      }),
      done(null)
    )
  if (text.startsWith('select stopped from partition_progress'))
    return done(
      null,
      [tables.progress.get(partition)].flatMap((p) => (p ? [{ stopped: p.stopped }] : [])),
    )
  if (text.startsWith('select cluster_id from partition_progress')) return done(null, [])
  if (text.startsWith('select epoch from partition_progress'))
    return done(
      null,
      [tables.progress.get(partition)].flatMap((p) => (p ? [{ epoch: p.epoch }] : [])),
    )
  if (text.startsWith('select at_offset, version, state from partition_checkpoints'))
    return done(null, [tables.checkpoints.get(partition)].filter(Boolean))
  if (text.startsWith('select book_version')) {
    const above = after(/book_version > \$(\d+)/)
    const found = [...tables.activations.values()].filter(
      (a) => a.partition === partition && a.version > above,
    )
    return done(
      null,
      found.sort((a, b) => a.version - b.version).map((a) => ({ version: a.version, fromOffset: a.from })),
    )
  }
  if (text.startsWith('insert into rule_activations')) {
    const [, , where, version, from] = params as [string, string, number, number, number]
    return (
      later(
        () =>
          tables.activations.has(`${where}/${version}`) ||
          tables.activations.set(`${where}/${version}`, { partition: where, version, from }),
      ),
      done(null)
    )
  }
  if (text.startsWith('insert into dead_letters')) {
    const [, , where, offset, reason] = params as [string, string, number, number, string]
    return (later(() => tables.letters.push({ partition: where, offset, reason })), done(null))
  }
  if (text.startsWith('select from_seq')) {
    const [, where, source, run] = params as [string, number, string, string]
    return done(
      null,
      tables.gaps
        .filter((g) => g.partition === where && g.source === source && g.run === run)
        .map(({ from, to }) => ({ from, to })),
    )
  }
  if (text.startsWith('delete from sequence_gaps')) {
    const [, where, source, run] = params as [string, number, string, string]
    return (
      later(
        () =>
          (tables.gaps = tables.gaps.filter(
            (g) => g.partition !== where || g.source !== source || g.run !== run,
          )),
      ),
      done(null)
    )
  }
  if (text.startsWith('insert into sequence_gaps')) {
    const [, where, source, run, from, to] = params as [string, number, string, string, number, number]
    return (later(() => tables.gaps.push({ partition: where, source, run, from, to })), done(null))
  }
  if (text.startsWith('insert into alerts')) {
    const fresh = json().filter((a) => !tables.alerts.has(String(a.alert_id)))
    later(() =>
      fresh.forEach((a) =>
        tables.alerts.set(String(a.alert_id), {
          offset: Number(a.offset),
          partition: Number(a.partition),
          cleared: null,
        }),
      ),
    )
    return done(
      null,
      fresh.map((a) => ({ alert_id: a.alert_id, suppressed: null })),
    )
  }
  if (text.startsWith('update alerts set active = latching')) {
    const known = json()
    later(() =>
      known.forEach((c) =>
        Object.assign(tables.alerts.get(String(c.alert_id)) ?? {}, { cleared: c.cleared_offset }),
      ),
    )
    return done(
      null,
      known.map((c) => ({ alert_id: c.alert_id, active: false, suppressed: null, group_id: null })),
    )
  }
  if (text.startsWith('select count(distinct sensor_id)')) {
    const { length } = tables.sensors
    return done(null, [{ sensors: length, descriptions: length }])
  }
  if (text.startsWith('select d.n, s.sensor_key'))
    return done(
      null,
      json().map(({ n, sensor_id }) => {
        const known = tables.sensors.find((s) => s.sensor_id === sensor_id)
        return { n, sensor_key: known?.sensor_key ?? null, is_registered: known !== undefined }
      }),
    )
  if (text.startsWith('select run_key, run_id from runs'))
    return done(
      null,
      tables.runs.map((run_id, i) => ({ run_key: i + 1, run_id })),
    )
  if (text.startsWith('select topic_key, topic from topics'))
    return done(
      null,
      tables.topics.map((topic, i) => ({ topic_key: i + 1, topic })),
    )
  if (text.startsWith('insert into sensors')) {
    const fresh = json()
      .filter((s) => !tables.sensors.some((known) => known.sensor_id === s.sensor_id))
      .map((s, i) => ({ ...s, sensor_key: tables.sensors.length + 1 + i }))
    tables.sensors.push(...fresh)
    return done(null, fresh)
  }
  if (text.startsWith('insert into runs'))
    return (tables.runs.includes(String(params[0])) || tables.runs.push(String(params[0])), done(null))
  if (text.startsWith('select run_key from runs'))
    return done(null, [{ run_key: tables.runs.indexOf(String(params[0])) + 1 }])
  if (text.startsWith('insert into topics'))
    return (tables.topics.includes(String(params[0])) || tables.topics.push(String(params[0])), done(null))
  if (text.startsWith('select topic_key from topics'))
    return done(null, [{ topic_key: tables.topics.indexOf(String(params[0])) + 1 }])
  if (text.startsWith('insert into system_events'))
    return (later(() => tables.events.push(String(params[3]))), done(null))
  if (
    /^(select (pg_|factory_section|near\.)|with queued as \( insert into outbox|insert into (alert_journal|outbox|sensor_latest)|update alerts set|select alert_id|select 1 from alerts)/.test(
      text,
    )
  )
    return done(null, [])
  scene.unknown(text)
  done(new Refused('42601', `the model does not know: ${text}`))
}

/** The fence, and what hangs on it: each part is written where the fence has let it through, or where it never asks. */
function move({ tables, lock, later }: Scene, text: string, params: readonly unknown[], done: Done): void {
  const value = (pattern: RegExp) => params[Number(pattern.exec(text)?.[1] ?? 0) - 1]
  const partition = Number(value(/ partition = \$(\d+)/))
  const part = (name: string) =>
    text.split(`, ${name} as (`)[1]?.split(/\) (?:, (?:shown|kept) as|select 1 from moved)/)[0] ?? null
  return lock(partition, (error) => {
    if (error) return done(error)
    const row = tables.progress.get(partition)
    const next = value(/and next_offset = \$(\d+)/)
    const epoch = value(/and epoch = \$(\d+)/)
    const fits =
      row !== undefined &&
      (next === undefined || row.next_offset === next) &&
      (epoch === undefined || row.epoch === epoch)
    const stored = part('stored')
    if (stored && (fits || !stored.includes('cross join moved'))) {
      const rows = JSON.parse(
        String(params[Number(/json_to_recordset\(\$(\d+)/.exec(stored)?.[1]) - 1]),
      ) as Row[]
      later(() => tables.rows.push(...rows.map((r) => withRun(tables, r))))
    }
    if (!fits) return done(null, [])
    const kept = part('kept')
    if (kept) {
      const [, , where, at_offset, version, state] = [...kept.matchAll(/\$(\d+)/g)].map(
        (m) => params[Number(m[1]) - 1],
      ) as [string, string, number, number, number, Uint8Array]
      later(() => tables.checkpoints.set(where, { at_offset, version, state }))
    }
    const counters = { ...row.counters }
    for (const [, name, n] of text.matchAll(/(\w+) = \1 \+ \$(\d+)/g))
      if (name) counters[name] = (counters[name] ?? 0) + Number(params[Number(n) - 1])
    later(() =>
      tables.progress.set(partition, {
        ...row,
        next_offset: Number(value(/set next_offset = \$(\d+)/)),
        counters,
      }),
    )
    done(null, [{}])
  })
}

export function withRun(tables: Tables, row: Omit<Row, 'run'>): Row {
  return { ...row, run: row.runKey === null ? undefined : tables.runs[row.runKey - 1] }
}
