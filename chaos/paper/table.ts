import type { RunRecord } from '../watch/verdict.ts'

/** All runs of one fault, in figures. */
export interface Row {
  fault: string
  target: string
  runs: number
  passed: number
  strikes: number
  readings: number
  lost: number
  doubled: number
  phantom: number
  ackStall: Spread
  recovery: Spread
  /** seconds that healing itself took, at most */
  healing: number
  bound: number
}

/** Seconds: median, 99th percentile, longest; by nearest rank, so each is a value that was measured. */
export interface Spread {
  p50: number
  p99: number
  max: number
}

export function rowsOf(records: readonly RunRecord[]): Row[] {
  const groups = Map.groupBy(records, (r) => `${r.target} ${nameOf(r)}`)
  return [...groups.values()].map((runs) => {
    const sum = (value: (r: RunRecord) => number) => runs.reduce((total, r) => total + value(r), 0)
    return {
      fault: runs[0] ? nameOf(runs[0]) : '',
      target: runs[0]?.target ?? '',
      runs: runs.length,
      passed: runs.filter((r) => r.passed).length,
      strikes: sum((r) => r.strikes),
      readings: sum((r) => r.accepted),
      lost: sum((r) => r.verify?.lost ?? 0),
      doubled: sum((r) => r.verify?.duplicated ?? 0),
      phantom: sum((r) => r.verify?.phantom ?? 0),
      ackStall: spread(runs.map((r) => r.ackStall)),
      recovery: spread(runs.flatMap((r) => (r.recovery === null ? [] : [r.recovery]))),
      healing: Math.max(...runs.map((r) => r.healing ?? 0)),
      bound: Math.max(...runs.map((r) => r.bound)),
    }
  })
}

/** consumer-freeze: transaction */
export function nameOf({ fault, variant }: Pick<RunRecord, 'fault' | 'variant'>): string {
  return variant ? `${fault}: ${variant}` : fault
}

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const rank = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN
  return { p50: rank(0.5), p99: rank(0.99), max: sorted.at(-1) ?? NaN }
}

const HEAD = [
  'Fault',
  'Where',
  'Passed',
  'Strikes',
  'Readings',
  'Lost',
  'Doubled',
  'Phantom',
  'Acks stood, s: p50 · p99 · max',
  'Green again, s: p50 · p99 · max',
  'Bound, s',
]

export function markdownTable(rows: readonly Row[]): string {
  const lines = rows.map((row) => `| ${cells(row).join(' | ')} |`)
  return [`| ${HEAD.join(' | ')} |`, `|${' --- |'.repeat(HEAD.length)}`, ...lines].join('\n')
}

export function htmlTable(rows: readonly Row[]): string {
  const body = rows.map(
    (row) =>
      `<tr class="${row.passed === row.runs ? 'passed' : 'failed'}">${cells(row)
        .map((cell) => `<td>${cell}</td>`)
        .join('')}</tr>`,
  )
  return `<table><thead><tr>${HEAD.map((name) => `<th>${name}</th>`).join('')}</tr></thead><tbody>${body.join('\n')}</tbody></table>`
}

function cells(row: Row): string[] {
  const count = (n: number) => n.toLocaleString('en')
  return [
    row.fault,
    row.target,
    `${row.passed} of ${row.runs}`,
    count(row.strikes),
    count(row.readings),
    count(row.lost),
    count(row.doubled),
    count(row.phantom),
    inWords(row.ackStall),
    inWords(row.recovery),
    String(row.bound),
  ]
}

function inWords({ p50, p99, max }: Spread): string {
  return Number.isNaN(max) ? '–' : `${p50} · ${p99} · ${max}`
}
