import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { detect } from '../lib/commands/detect.ts'
import { adaptive, DEFAULT_ADAPTIVE_RULE, rarityOf } from '../lib/detect/adaptive.ts'
import { parseMicrosAssumingUtc } from '../lib/time.ts'
import { EXIT, flagsOf } from '../lib/run.ts'
import { showTable } from './ground/table.ts'
import { machine } from './machine.ts'

const HELP = `bun run bench detection: how good the detectors are on public recordings: the Numenta benchmark, SKAB (a pump) and Tennessee
Eastman (a chemical plant), scored by outside scorers, with three rows beside each figure that know nothing: fixed limits, a
clock that looks at no sensor, and "beyond everything seen"

  --data DIR    the recordings (default ../shared/data/open)
  --tools DIR   the scorers (default ../shared/tools)
  --help        this text

exit 0 scored · 69 recordings or scorers are not there`

const given = flagsOf(HELP, {
  data: { type: 'string', default: '../shared/data/open' },
  tools: { type: 'string', default: '../shared/tools' },
})
const absent = [given.data, given.tools].find((folder) => !existsSync(folder))
if (absent !== undefined) {
  console.error(
    `Cannot score detection: recordings and scorers lie beside the product: there is no "${absent}"`,
  )
  process.exit(EXIT.unavailable)
}
const work = mkdtempSync(join(tmpdir(), 'detection-'))

interface Row {
  set: string
  detector: string
  figures: Record<string, string | number>
}
const rows: Row[] = []

async function nab(): Promise<void> {
  const root = join(given.data, 'nab')
  const windows = join(root, 'windows.json')
  const files = Object.keys(JSON.parse(readFileSync(windows, 'utf8'))).map((key) => join(root, key))
  const product = join(work, 'nab')
  await quietly(() => detect([...files, '--out', product]))
  const results: [string, string][] = [['product', product]]
  for (const [name, score] of Object.entries(KNOW_NOTHING)) {
    const out = join(work, `nab-${name.replaceAll(' ', '-')}`)
    for (const file of files) writeScores(file, out, score)
    results.push([name, out])
  }
  for (const [name, out] of results) {
    const best = nabScore(out, windows)
    const fixed = nabScore(out, windows, 0.5)
    const best3 = PROFILES.map((p) => best[p]!.score.toFixed(1)).join(' / ')
    const fixed3 = PROFILES.map((p) => fixed[p]!.score.toFixed(1)).join(' / ')
    const f = fixed.standard!
    rows.push({
      set: 'NAB, standard / low FP / low FN',
      detector: name,
      figures: {
        'best threshold': best3,
        'at the default': fixed3,
        windows: `${f.caught} of ${f.windows}`,
        'false episodes': f.fp_episodes,
      },
    })
  }
}

const PROFILES = ['standard', 'reward_low_FP_rate', 'reward_low_FN_rate']

/** Score of each value of a series, strictly causal. */
const KNOW_NOTHING: Record<string, (values: number[]) => number[]> = {
  'fixed limits': (values) => {
    const first = values.slice(0, 150)
    const mean = first.reduce((a, b) => a + b, 0) / first.length
    const sd = Math.sqrt(first.reduce((a, b) => a + (b - mean) ** 2, 0) / first.length) || 1
    return values.map((v, i) => (i < 150 ? 0 : 1 - 2 ** (-Math.abs(v - mean) / sd / 4)))
  },
  'blind clock': (values) => values.map((_, i) => (i % 600 === 599 ? 1 : 0)),
  'range break': (values) => {
    let low = Infinity
    let high = -Infinity
    return values.map((v) => {
      const beyond = Math.max(0, v - high, low - v)
      const score = high > low && beyond > 0 ? 0.5 + 0.5 * Math.min(1, beyond / (0.05 * (high - low))) : 0
      low = Math.min(low, v)
      high = Math.max(high, v)
      return Number.isFinite(score) ? score : 0
    })
  },
}

async function skab(): Promise<void> {
  const data = join(given.data, 'skab')
  const files = readdirSync(data).flatMap((d) => readdirSync(join(data, d)).map((f) => join(data, d, f)))
  const out = join(work, 'skab')
  await quietly(() => detect([...files, '--out', out]))
  const limits = join(work, 'skab-limits')
  const range = join(work, 'skab-range')
  for (const file of files) {
    writeMachine(file, limits, 400, (x, b) => Math.abs(x - b.mean) > 4 * b.sd)
    writeMachine(file, range, 400, (x, b) => x > b.high || x < b.low)
  }
  const add = (detector: string, args: string[]) => {
    const t = JSON.parse(python('skab_score.py', [...args, '--data', data, '--json'])).total
    const figures = {
      F1: t.f1.toFixed(3),
      'false alarm rate': `${t.far_pct.toFixed(1)} %`,
      missed: `${t.mar_pct.toFixed(1)} %`,
      'clean onsets': `${t.clean_onsets} of ${t.files}`,
      'false alarms': `${t.false_alarms} in ${t.normal_hours.toFixed(2)} h`,
    }
    rows.push({ set: 'SKAB, 8 channels, at the default', detector, figures })
  }
  add('product', [out])
  add('fixed limits', [limits])
  add('blind clock', ['--baseline', 'clock'])
  add('range break', [range])
}

async function tennesseeEastman(): Promise<void> {
  const root = join(given.data, 'tep')
  const table = (name: string) =>
    gunzipSync(readFileSync(join(root, name)))
      .toString()
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/).map(Number))
  const training = transpose(table('d00.dat.gz'))
  const names = readdirSync(root).filter((f) => f.endsWith('_te.dat.gz'))
  const input = join(work, 'tep-in')
  mkdirSync(input)
  const header = `datetime;${training[0]!.map((_, i) => `x${i + 1}`).join(';')}`
  for (const name of names) {
    const lines = [...training, ...table(name)].map(
      (row, i) => `${new Date(1.6e12 + i * 180_000).toISOString().slice(0, 19)};${row.join(';')}`,
    )
    writeFileSync(join(input, `${name.slice(0, 3)}.csv`), [header, ...lines].join('\n'))
  }
  const files = readdirSync(input)
    .map((f) => join(input, f))
    .sort()
  const out = join(work, 'tep')
  await quietly(() => detect([...files, '--out', out, '--learn', String(training.length)]))
  const product = new Map<string, number[]>()
  const limits = new Map<string, number[]>()
  const range = new Map<string, number[]>()
  for (const file of files) {
    const name = file.slice(-7, -4)
    product.set(name, column(join(out, 'tep-in', `${name}.csv`), 1).slice(training.length))
    limits.set(
      name,
      farthest(file, training.length, (x, b) => Math.abs(x - b.mean) / (b.sd || 1)),
    )
    range.set(
      name,
      farthest(file, training.length, (x, b) => Math.max(x - b.high, b.low - x) / (b.sd || 1)),
    )
  }
  for (const [detector, scores] of [
    ['product', product],
    ['fixed limits', limits],
    ['range break', range],
  ] as const)
    rows.push({
      set: 'Tennessee Eastman, 1 % false alarms on the clean run',
      detector,
      figures: detectionRates(scores),
    })
  rows.push({
    set: 'Tennessee Eastman, 1 % false alarms on the clean run',
    detector: 'blind clock',
    figures: { mean: '1.0 %' },
  })
}

/** Share of the faulty rows (from 160 on) above the level that 1 % of the clean run exceeds; 3, 9, 15 are not findable. */
function detectionRates(scores: Map<string, number[]>): Row['figures'] {
  const clean = [...(scores.get('d00') ?? [])].sort((a, b) => b - a)
  const level = clean[Math.floor(clean.length / 100)]!
  const rates = [...scores].flatMap(([name, s]) => {
    if (name === 'd00') return []
    const faulty = s.slice(160)
    return [
      { fault: Number(name.slice(1)), rate: (100 * faulty.filter((x) => x > level).length) / faulty.length },
    ]
  })
  const findable = rates.filter(({ fault }) => ![3, 9, 15].includes(fault))
  const mean = findable.reduce((sum, r) => sum + r.rate, 0) / findable.length
  return {
    mean: `${mean.toFixed(1)} %`,
    findable: findable.length,
    ...Object.fromEntries(rates.map((r) => [`fault ${r.fault}`, r.rate.toFixed(0)])),
  }
}

/** What the detector calls one in a hundred, a thousand: how often it comes on stretches without anything labelled. */
function calibration(): void {
  const root = join(given.data, 'nab')
  const windows: Record<string, [string, string][]> = JSON.parse(
    readFileSync(join(root, 'windows.json'), 'utf8'),
  )
  for (const [name, keep] of [
    ['clean files', (key: string) => key.startsWith('artificialNoAnomaly/')],
    ['outside windows', () => true],
  ] as const) {
    let readings = 0
    const said = [0, 0, 0]
    for (const [key, spans] of Object.entries(windows)) {
      if (!keep(key)) continue
      const state = adaptive.create()
      const times = spans.map(([a, b]) => [parseMicrosAssumingUtc(a), parseMicrosAssumingUtc(b)] as const)
      readSeries(join(root, key)).forEach(({ at, value }, i) => {
        adaptive.step(state, { at, value, quality: 1 }, DEFAULT_ADAPTIVE_RULE)
        if (i < 750 || times.some(([a, b]) => at >= a && at <= b)) return
        readings++
        ;[1e-2, 1e-3, 1e-4].forEach((p, k) => (said[k]! += rarityOf(state) <= p ? 1 : 0))
      })
    }
    const ratios = said.map((n, k) => [`one in ${10 ** (k + 2)}`, (n / readings / 10 ** -(k + 2)).toFixed(2)])
    rows.push({
      set: 'Stated rarity, observed / stated',
      detector: name,
      figures: { ...Object.fromEntries(ratios), readings },
    })
  }
}

interface Baseline {
  mean: number
  sd: number
  low: number
  high: number
}

function readMachine(file: string): { times: string[]; channels: number[][] } {
  const [head, ...lines] = readFileSync(file, 'utf8').trim().split('\n')
  const columns = head!
    .trim()
    .split(';')
    .flatMap((name, i) => (i > 0 && name !== 'anomaly' && name !== 'changepoint' ? [i] : []))
  const cells = lines.map((line) => line.split(';'))
  return { times: cells.map((c) => c[0]!), channels: columns.map((i) => cells.map((c) => Number(c[i]))) }
}

function baselineOf(values: number[]): Baseline {
  const mean = values.reduce((a, b) => a + b, 0) / values.length
  const sd = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length)
  return { mean, sd, low: Math.min(...values), high: Math.max(...values) }
}

function writeMachine(file: string, out: string, learn: number, beyond: (x: number, b: Baseline) => boolean) {
  const { times, channels } = readMachine(file)
  const baselines = channels.map((c) => baselineOf(c.slice(0, learn)))
  const lines = times.map((t, i) => {
    const hit = i >= learn && channels.some((c, k) => beyond(c[i]!, baselines[k]!))
    return `${t},${hit ? 1 : 0}`
  })
  write(file, out, ['datetime,anomaly', ...lines])
}

function farthest(file: string, learn: number, distance: (x: number, b: Baseline) => number): number[] {
  const { times, channels } = readMachine(file)
  const baselines = channels.map((c) => baselineOf(c.slice(0, learn)))
  return times
    .slice(learn)
    .map((_, i) => Math.max(...channels.map((c, k) => distance(c[learn + i]!, baselines[k]!))))
}

function writeScores(file: string, out: string, score: (values: number[]) => number[]): void {
  const series = readSeries(file)
  const scores = score(series.map((s) => s.value))
  write(file, out, [
    'timestamp,value,anomaly_score',
    ...series.map((s, i) => `${s.text},${s.value},${scores[i]}`),
  ])
}

function readSeries(file: string): { text: string; at: number; value: number }[] {
  return readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => {
      const [text, value] = line.trim().split(',')
      return { text: text!, at: parseMicrosAssumingUtc(text!), value: Number(value) }
    })
}

function write(file: string, out: string, lines: string[]): void {
  const [name, parent] = file.split('/').reverse()
  mkdirSync(join(out, parent!), { recursive: true })
  writeFileSync(join(out, parent!, name!), lines.join('\n'))
}

function column(file: string, index: number): number[] {
  return readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => Number(line.split(',')[index]))
}

function transpose(m: number[][]): number[][] {
  return m[0]!.map((_, i) => m.map((row) => row[i]!))
}

function nabScore(results: string, windows: string, threshold?: number) {
  const args = [results, '--windows', windows, '--ops', '--json']
  if (threshold !== undefined) args.push('--threshold', String(threshold))
  return JSON.parse(python('nab_score.py', args)) as Record<
    string,
    { score: number; caught: number; windows: number; fp_episodes: number }
  >
}

function python(script: string, args: string[]): string {
  const done = Bun.spawnSync(['python3', join(given.tools, script), ...args], { stderr: 'inherit' })
  if (!done.success) throw new Error(`Cannot score: ${script} ended with ${done.exitCode}`)
  return done.stdout.toString()
}

/** The command's own lines are not part of the table. */
async function quietly(work: () => Promise<unknown>): Promise<void> {
  const write = process.stdout.write
  process.stdout.write = () => true
  try {
    await work()
  } finally {
    process.stdout.write = write
  }
}

const before = machine()
await nab()
await skab()
await tennesseeEastman()
calibration()
rmSync(work, { recursive: true })
for (const set of new Set(rows.map((r) => r.set))) {
  console.error(`\n${set}`)
  showTable(rows.flatMap((row) => (row.set === set ? [{ detector: row.detector, ...row.figures }] : [])))
}
const settings = 'one for all files, the product defaults'
console.log(JSON.stringify({ bench: 'detection', figures: rows, settings, machine: before }, null, 2))
