import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { adaptive, DEFAULT_ADAPTIVE_RULE } from '../detect/adaptive.ts'
import { baseline, DEFAULT_BASELINE_RULE } from '../detect/baseline.ts'
import { IGNORED, QUIET } from '../detect/detector.ts'
import { DEFAULT_EQUIPMENT_RULE, equipment } from '../detect/equipment.ts'
import { DEFAULT_QUALITY_RULE, quality } from '../detect/quality.ts'
import { EXIT, Stop } from '../run.ts'
import { parseMicrosAssumingUtc, type Micros } from '../time.ts'

const HELP = `Usage: bun run detect FILE… --out DIR [--learn 400] [--json]

The consumer's own detectors on recordings, offline, at the product's default thresholds: adaptive, baseline
(for sensors of 15 seconds or faster) and quality for one value, equipment for many channels. Fixed limits need limits
and are left out.

One value (timestamp,value; separated by commas):
  writes DIR/<parent>/<name>.csv with timestamp,value,anomaly_score
  anomaly_score is 0 to 1; from 0.5 on the product would raise an alarm
Many channels (separated by semicolons, first column datetime; columns anomaly and changepoint are not looked at):
  writes DIR/<parent>/<name>.csv with datetime,score,anomaly
  the baseline is learnt from the first --learn rows (the commissioning) and then frozen

Options:
  --out DIR     where results go (made if missing)
  --learn ROWS  length of the commissioning of a machine (default 400)
  --json        one JSON object a file on standard output
Exit: 0 done · 1 a file can't be read · 2 usage
`
/** Columns that tell the truth of a recording: never an input. */
const TRUTH = new Set(['anomaly', 'changepoint'])

interface Table {
  file: string
  lines: string[]
  separator: string
  header: string[]
}

interface Report {
  file: string
  out: string
  rows: number
  skipped: number
  alarms: number
  ms: number
}

/** A file that can't be read is told, and the others are done all the same. */
export async function detect(args: string[]): Promise<number> {
  const { files, out, learn, json } = parse(args)
  let unread = 0
  for (const file of files) {
    try {
      const report = detectFile(file, out, learn)
      process.stdout.write(json ? `${JSON.stringify(report)}\n` : describe(report))
    } catch (error) {
      if (!(error instanceof Stop)) throw error
      process.stderr.write(`${error.message}\n`)
      unread++
    }
  }
  return unread > 0 ? EXIT.fault : EXIT.ok
}

function detectFile(file: string, out: string, learn: number): Report {
  const started = performance.now()
  const lines = read(file)
  const separator = lines[0]?.includes(';') ? ';' : ','
  const table: Table = { file, lines, separator, header: cellsOf(lines[0] ?? '', separator) }
  const many = table.header[0]?.toLowerCase() === 'datetime'
  const { text, ...counts } = many ? detectMachine(table, learn) : detectSensor(table)
  if (counts.rows > 0 && counts.skipped === counts.rows)
    throw new Stop(
      `Cannot read ${file}: no row has a time and a number: got "${lines[1]?.slice(0, 80)}": write times as 2014-04-01 00:05:00 or as seconds`,
      EXIT.fault,
    )
  const target = join(out, basename(dirname(resolve(file))), basename(file))
  mkdirSync(dirname(target), { recursive: true })
  writeFileSync(target, text)
  return { file, out: target, ...counts, ms: performance.now() - started }
}

function detectSensor({ file, lines, separator, header }: Table) {
  const names = header.map((name) => name.toLowerCase())
  const timeColumn = names.indexOf('timestamp')
  const valueColumn = names.indexOf('value')
  if (timeColumn < 0 || valueColumn < 0)
    throw new Stop(
      `Cannot read ${file}: its first line must name timestamp and value: got "${header.join(',').slice(0, 80)}"`,
      EXIT.fault,
    )
  const states = { adaptive: adaptive.create(), baseline: baseline.create(), quality: quality.create() }
  const text = ['timestamp,value,anomaly_score']
  let skipped = 0
  let alarms = 0
  for (const line of lines.slice(1)) {
    const cells = cellsOf(line, separator)
    const at = timeOf(cells[timeColumn])
    const value = number(cells[valueColumn])
    let score = 0
    if (Number.isFinite(at) && Number.isFinite(value)) {
      const sample = { at, value, quality: 1 }
      score = Math.max(
        adaptive.step(states.adaptive, sample, DEFAULT_ADAPTIVE_RULE).score,
        baseline.step(states.baseline, sample, DEFAULT_BASELINE_RULE).score,
        raised(quality.step(states.quality, sample, DEFAULT_QUALITY_RULE).score),
      )
    } else skipped++
    if (score >= 0.5) alarms++
    text.push(`${cells[timeColumn] ?? ''},${cells[valueColumn] ?? ''},${score}`)
  }
  return { text: `${text.join('\n')}\n`, rows: lines.length - 1, skipped, alarms }
}

function detectMachine({ file, lines, separator, header }: Table, learn: number) {
  const columns = header.flatMap((name, i) => (i > 0 && !TRUTH.has(name) ? [i] : []))
  if (columns.length === 0)
    throw new Stop(`Cannot read ${file}: no channel beside datetime: got "${header.join(';')}"`, EXIT.fault)
  const detector = equipment(columns.length)
  const state = detector.create()
  const rule = { ...DEFAULT_EQUIPMENT_RULE, commissioning: learn }
  const values = new Float64Array(columns.length)
  const text = ['datetime,score,anomaly']
  let skipped = 0
  let alarms = 0
  // a row without a time, or one that comes late, says nothing: what held before it holds
  let verdict = QUIET
  for (const line of lines.slice(1)) {
    const cells = cellsOf(line, separator)
    const at = timeOf(cells[0])
    columns.forEach((column, i) => (values[i] = number(cells[column])))
    if (!Number.isFinite(at)) skipped++
    const next = Number.isFinite(at) ? detector.step(state, { at, values, quality: 1 }, rule) : IGNORED
    if (next !== IGNORED) {
      if (next.active && !verdict.active) alarms++
      verdict = next
    }
    text.push(`${cells[0] ?? ''},${verdict.score},${verdict.active ? 1 : 0}`)
  }
  return { text: `${text.join('\n')}\n`, rows: lines.length - 1, skipped, alarms }
}

/** A jump is a flag, not half an alarm: it has no place in a score. */
function raised(score: number): number {
  return score >= 0.5 ? score : 0
}

/** A cell may stand in quotes; none holds a separator. */
function cellsOf(line: string, separator: string): string[] {
  return line.split(separator).map((cell) => cell.trim().replace(/^"(.*)"$/, '$1'))
}

/** An empty cell is no reading (Number('') would be 0). Where semicolons separate, a comma may be the decimal sign. */
function number(cell: string | undefined): number {
  return cell === undefined || cell === '' ? NaN : Number(cell.replace(',', '.'))
}

/**
 * ISO 8601 without a zone is UTC, and what a recording leaves out (seconds, the hour) is zero; a plain number is seconds,
 * milliseconds or microseconds since 1970 or since the recording began. NaN: no time.
 */
function timeOf(cell: string | undefined): Micros {
  const text = cell ?? ''
  if (/^\d{1,16}(\.\d+)?$/.test(text)) {
    const number = Number(text)
    return Math.round(number < 1e11 ? number * 1e6 : number < 1e14 ? number * 1e3 : number)
  }
  const [, day, minute] = /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d))?$/.exec(text) ?? []
  return parseMicrosAssumingUtc(day === undefined ? text : `${day}T${minute ?? '00:00'}:00`)
}

function read(file: string): string[] {
  try {
    return readFileSync(file, 'utf8')
      .replace(/^\uFEFF/, '')
      .split(/\r?\n/)
      .filter((line) => line !== '')
  } catch (cause) {
    throw new Stop(`Cannot read ${file}: ${cause instanceof Error ? cause.message : cause}`, EXIT.fault, {
      cause,
    })
  }
}

function describe({ file, out, rows, skipped, alarms, ms }: Report): string {
  const left = skipped > 0 ? `, ${skipped} unreadable` : ''
  return `${file}: ${rows} rows${left}, ${alarms} alarm(s), ${ms.toFixed(0)} ms → ${out}\n`
}

function parse(args: string[]) {
  const usage = (problem: string) => new Stop(`Cannot detect: ${problem}: see --help`, EXIT.usage)
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
  if (!Number.isInteger(learn) || learn < 20) throw usage(`--learn must be 20 or more: got "${values.learn}"`)
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
