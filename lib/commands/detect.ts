import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { adaptive, DEFAULT_ADAPTIVE_RULE } from '../detect/adaptive.ts'
import { baseline, DEFAULT_BASELINE_RULE } from '../detect/baseline.ts'
import { QUIET } from '../detect/detector.ts'
import { DEFAULT_EQUIPMENT_RULE, equipment } from '../detect/equipment.ts'
import { DEFAULT_QUALITY_RULE, quality } from '../detect/quality.ts'
import { EXIT, Stop } from '../run.ts'
import { inOrder, quoted, readTable, timeOf, type Table } from './detect-table.ts'

const HELP = `Usage: bun run detect FILE… --out DIR [--learn 400] [--json]

The consumer's own detectors on recordings, offline, at the product's default thresholds: adaptive, baseline
(for sensors of 15 seconds or faster) and quality for one value, equipment for many channels. Fixed limits need limits
and are left out.

One value (columns timestamp and value; separated by commas, semicolons or tabs, as the header is):
  writes DIR/<parent>/<name>.csv with timestamp,value,anomaly_score
  anomaly_score is 0 to 1; from 0.5 on the product would raise an alarm
Many channels (first column datetime; columns anomaly and changepoint are not looked at):
  writes DIR/<parent>/<name>.csv with datetime,score,anomaly
  the baseline is learnt from the first --learn rows (the commissioning) and then frozen

A row that is not newer than all before it, or whose time the next rows take back, is late and is not judged.

Options:
  --out DIR     where results go (made if missing); no result replaces an input or another result
  --learn ROWS  length of the commissioning of a machine (default 400, at least 60)
  --json        one JSON object a file on standard output
Exit: 0 done · 1 a file can't be read, or more than half of its rows are late · 2 usage
`
/** as in the rule book: less is no baseline */
const LEAST_LEARN = 60
/** Columns that tell the truth of a recording: never an input. */
const TRUTH = new Set(['anomaly', 'changepoint'])

interface Report {
  file: string
  out: string
  rows: number
  skipped: number
  late: number
  alarms: number
  ms: number
}

/** A file that can't be read is told, and the others are done all the same. */
export async function detect(args: string[]): Promise<number> {
  const { files, out, learn, json } = parse(args)
  let faults = 0
  for (const job of jobsOf(files, out)) {
    try {
      const report = detectFile(job, learn)
      process.stdout.write(json ? `${JSON.stringify(report)}\n` : describe(report))
      if (report.late > 0) process.stderr.write(lateness(report))
      if (report.late > (report.rows - report.skipped) / 2) faults++
    } catch (error) {
      if (!(error instanceof Stop)) throw error
      process.stderr.write(`${error.message}\n`)
      faults++
    }
  }
  return faults > 0 ? EXIT.fault : EXIT.ok
}

interface Job {
  file: string
  target: string
}

/** Where each result goes. Throws Stop (2) where one would replace an input or another result, or has no folder to go to. */
function jobsOf(files: readonly string[], out: string): Job[] {
  const jobs = files.map((file) => ({
    file,
    target: join(out, basename(dirname(resolve(file))), basename(file)),
  }))
  const inputs = new Map(files.map((file) => [identityOf(file), file]))
  const seen = new Map<string, string>()
  for (const { file, target } of jobs) {
    const input = inputs.get(identityOf(target) ?? '')
    if (input !== undefined)
      throw usage(`the result of ${file} would replace ${input}, which is an input: choose another --out`)
    const other = seen.get(target)
    if (other !== undefined)
      throw usage(`${other} and ${file} would both be written to ${target}: give each an --out of its own`)
    seen.set(target, file)
  }
  try {
    mkdirSync(out, { recursive: true })
  } catch (cause) {
    throw usage(`--out must be a folder: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
  return jobs
}

/** The file itself, whatever names and links lead to it; undefined where none does. */
function identityOf(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path)
    return `${dev}:${ino}`
  } catch {
    return undefined
  }
}

function detectFile({ file, target }: Job, learn: number): Report {
  const started = performance.now()
  const table = readTable(file)
  const many = table.header[0]?.toLowerCase() === 'datetime'
  const { text, ...counts } = many ? detectMachine(table, learn) : detectSensor(table)
  if (counts.rows > 0 && counts.skipped === counts.rows)
    throw new Stop(
      `Cannot read ${file}: no row has a time and a number: got "${table.rows[0]?.join(' ').slice(0, 80)}": write times as 2014-04-01 00:05:00 or as seconds`,
      EXIT.fault,
    )
  try {
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, text)
  } catch (cause) {
    const seen = cause instanceof Error ? cause.message : String(cause)
    throw new Stop(`Cannot write ${target}: ${seen}`, EXIT.fault, { cause })
  }
  return { file, out: target, ...counts, ms: performance.now() - started }
}

function detectSensor({ file, header, rows, number }: Table) {
  const names = header.map((name) => name.toLowerCase())
  const timeColumn = names.indexOf('timestamp')
  const valueColumn = names.indexOf('value')
  if (timeColumn < 0 || valueColumn < 0)
    throw new Stop(
      `Cannot read ${file}: its first line must name timestamp and value: got "${header.join(',').slice(0, 80)}"`,
      EXIT.fault,
    )
  const values = rows.map((cells) => number(cells[valueColumn]))
  const times = rows.map((cells, i) => (Number.isFinite(values[i]) ? timeOf(cells[timeColumn]) : NaN))
  const counts = countsOf(rows, times)
  const states = { adaptive: adaptive.create(), baseline: baseline.create(), quality: quality.create() }
  const text = ['timestamp,value,anomaly_score']
  let alarms = 0
  for (const [i, cells] of rows.entries()) {
    let score = 0
    if (counts.sound[i]) {
      const sample = { at: times[i] ?? NaN, value: values[i] ?? NaN, quality: 1 }
      score = Math.max(
        adaptive.step(states.adaptive, sample, DEFAULT_ADAPTIVE_RULE).score,
        baseline.step(states.baseline, sample, DEFAULT_BASELINE_RULE).score,
        raised(quality.step(states.quality, sample, DEFAULT_QUALITY_RULE).score),
      )
    }
    if (score >= 0.5) alarms++
    const value = Number.isFinite(values[i]) ? cells[valueColumn]?.replace(',', '.') : cells[valueColumn]
    text.push([quoted(cells[timeColumn] ?? ''), quoted(value ?? ''), score].join(','))
  }
  const { skipped, late } = counts
  return { text: `${text.join('\n')}\n`, rows: rows.length, skipped, late, alarms }
}

function detectMachine({ file, header, rows, number }: Table, learn: number) {
  const columns = header.flatMap((name, i) => (i > 0 && !TRUTH.has(name.toLowerCase()) ? [i] : []))
  if (columns.length === 0)
    throw new Stop(`Cannot read ${file}: no channel beside datetime: got "${header.join(';')}"`, EXIT.fault)
  const detector = equipment(columns.length)
  const state = detector.create()
  const rule = { ...DEFAULT_EQUIPMENT_RULE, commissioning: learn }
  const times = rows.map((cells) => timeOf(cells[0]))
  const { sound, skipped, late } = countsOf(rows, times)
  const text = ['datetime,score,anomaly']
  let alarms = 0
  // a row without a time, or one that comes late, says nothing: what held before it holds
  let verdict = QUIET
  for (const [i, cells] of rows.entries()) {
    if (sound[i]) {
      const values = Float64Array.from(columns, (column) => number(cells[column]))
      const next = detector.step(state, { at: times[i] ?? NaN, values, quality: 1 }, rule)
      if (next.active && !verdict.active) alarms++
      verdict = next
    }
    text.push([quoted(cells[0] ?? ''), verdict.score, verdict.active ? 1 : 0].join(','))
  }
  return { text: `${text.join('\n')}\n`, rows: rows.length, skipped, late, alarms }
}

/** Rows that are judged, and how many are not, for want of a time or a number, or of order; a repeat of the row before is no loss. */
function countsOf(rows: readonly string[][], times: readonly number[]) {
  const sound = inOrder(times)
  let skipped = 0
  let late = 0
  for (const [i, cells] of rows.entries()) {
    if (Number.isNaN(times[i])) skipped++
    else if (!sound[i] && cells.join() !== rows[i - 1]?.join()) late++
  }
  return { sound, skipped, late }
}

/** A jump is a flag, not half an alarm: it has no place in a score. */
function raised(score: number): number {
  return score >= 0.5 ? score : 0
}

function describe({ file, out, rows, skipped, late, alarms, ms }: Report): string {
  const left = `${skipped > 0 ? `, ${skipped} unreadable` : ''}${late > 0 ? `, ${late} late` : ''}`
  return `${file}: ${rows} rows${left}, ${alarms} alarm(s), ${ms.toFixed(0)} ms → ${out}\n`
}

function lateness({ file, rows, late }: Report): string {
  return `${file}: ${late} of ${rows} rows are not newer than those before them, or far ahead of those that follow, and were not judged: sort them by time\n`
}

function usage(problem: string): Stop {
  return new Stop(`Cannot detect: ${problem}: see --help`, EXIT.usage)
}

function parse(args: string[]) {
  let given
  try {
    given = parseArgs({
      args,
      allowPositionals: true,
      options: {
        out: { type: 'string' },
        learn: { type: 'string', default: '400' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
  } catch (cause) {
    throw usage(cause instanceof Error ? cause.message : String(cause))
  }
  const { values, positionals } = given
  if (values.help) {
    process.stdout.write(HELP)
    process.exit(EXIT.ok)
  }
  const learn = Number(values.learn)
  if (positionals.length === 0) throw usage('no file is named')
  if (!values.out) throw usage('--out DIR is missing')
  if (!Number.isInteger(learn) || learn < LEAST_LEARN)
    throw usage(`--learn must be ${LEAST_LEARN} or more: got "${values.learn}"`)
  return { files: positionals, out: values.out, learn, json: values.json }
}

if (import.meta.main) {
  try {
    process.exit(await detect(process.argv.slice(2)))
  } catch (error) {
    if (!(error instanceof Stop)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(error.exitCode)
  }
}
