import { afterAll, describe, expect, test } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNoise } from '../../lib/fleet/random.ts'

const dir = mkdtempSync(join(tmpdir(), 'detect-'))
afterAll(() => rmSync(dir, { recursive: true }))
const noise = createNoise('detect command')
const command = join(import.meta.dir, '../../lib/commands/detect.ts')

function detect(...args: string[]) {
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, command, ...args])
  return { code: exitCode, out: stdout.toString(), err: stderr.toString() }
}
function file(name: string, lines: string[]): string {
  const path = join(dir, 'in', name)
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, lines.join('\n') + '\n')
  return path
}
const time = (i: number, seconds: number) =>
  new Date(1.4e12 + i * seconds * 1000).toISOString().slice(0, 19).replace('T', ' ')
const table = (path: string) =>
  readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((l) => l.split(','))

test('one value: every row comes back with a score, an alarm is 0.5 or more', () => {
  const lines = Array.from(
    { length: 1500 },
    (_, i) => `${time(i, 300)},${(50 + noise.gauss(0, i) + (i === 1200 ? 30 : 0)).toFixed(3)}`,
  )
  const input = file('plant/pump.csv', ['timestamp,value', ...lines])
  const { code, out } = detect(input, '--out', join(dir, 'out'), '--json')
  expect(code).toBe(0)
  expect(JSON.parse(out)).toMatchObject({ file: input, rows: 1500, skipped: 0 })
  const rows = table(join(dir, 'out/plant/pump.csv'))
  expect(rows[0]).toEqual(['timestamp', 'value', 'anomaly_score'])
  expect(rows.slice(1).map((r) => `${r[0]},${r[1]}`)).toEqual(lines)
  expect(Number(rows[1201]![2])).toBeGreaterThanOrEqual(0.5)
  expect(rows.slice(1).every((r) => Number(r[2]) >= 0 && Number(r[2]) <= 1)).toBe(true)
})

test('many channels: the truth in the file is not looked at, commissioning is silent', () => {
  const row = (i: number, truth: number) =>
    [
      time(i, 1),
      ...[0, 1, 2].map((c) => (10 + noise.gauss(c, i) + (c === 1 && i >= 700 ? 6 : 0)).toFixed(4)),
      `${truth}.0`,
      '0.0',
    ].join(';')
  const head = 'datetime;a;b;c;anomaly;changepoint'
  const truthful = file('bed/1.csv', [
    head,
    ...Array.from({ length: 1000 }, (_, i) => row(i, i >= 700 ? 1 : 0)),
  ])
  const lying = file('bed/2.csv', [head, ...Array.from({ length: 1000 }, (_, i) => row(i, i % 2))])
  expect(detect(truthful, lying, '--out', join(dir, 'out')).code).toBe(0)
  const rows = table(join(dir, 'out/bed/1.csv'))
  expect(rows[0]).toEqual(['datetime', 'score', 'anomaly'])
  expect(rows).toEqual(table(join(dir, 'out/bed/2.csv')))
  expect(rows.slice(1, 401).every((r) => r[2] === '0')).toBe(true)
  const first = rows.findIndex((r) => r[2] === '1')
  expect(first).toBeGreaterThan(700)
  expect(first).toBeLessThan(720)
})

test('is strictly causal: what comes later changes no earlier score', () => {
  const lines = Array.from(
    { length: 900 },
    (_, i) => `${time(i, 60)},${(5 + noise.gauss(7, i) * (i > 600 ? 9 : 1)).toFixed(4)}`,
  )
  const whole = file('whole/x.csv', ['timestamp,value', ...lines])
  const part = file('part/x.csv', ['timestamp,value', ...lines.slice(0, 600)])
  detect(whole, part, '--out', join(dir, 'out'))
  expect(table(join(dir, 'out/part/x.csv'))).toEqual(table(join(dir, 'out/whole/x.csv')).slice(0, 601))
})

test('unreadable rows keep their place and score nothing', () => {
  const input = file('holes/x.csv', [
    'timestamp,value',
    '2024-01-01 00:00:00,1',
    'soon,2',
    '2024-01-01 00:02:00,',
    '2024-01-01 00:03:00,4',
  ])
  expect(JSON.parse(detect(input, '--out', join(dir, 'out'), '--json').out).skipped).toBe(2)
  expect(table(join(dir, 'out/holes/x.csv')).map((r) => r[2])).toEqual(['anomaly_score', '0', '0', '0', '0'])
})

const plain = [
  'timestamp,value',
  ...Array.from({ length: 300 }, (_, i) => `${time(i, 300)},${(20 + noise.gauss(3, i)).toFixed(2)}`),
]
const rewrite = (change: (line: string, i: number) => string) => plain.map(change)
// name, the same table written otherwise, rows that can't be read
const shapes: [string, string[], number][] = [
  ['line ends of Windows', rewrite((l) => `${l}\r`), 0],
  ['a byte order mark', rewrite((l, i) => (i === 0 ? `\uFEFF${l}` : l)), 0],
  ['columns in another order', rewrite((l) => l.split(',').reverse().join(',')), 0],
  ['names in capitals', rewrite((l, i) => (i === 0 ? l.toUpperCase() : l)), 0],
  [
    'cells in quotes',
    rewrite((l) =>
      l
        .split(',')
        .map((c) => `"${c}"`)
        .join(','),
    ),
    0,
  ],
  [
    'times in seconds since 1970',
    rewrite((l, i) => (i === 0 ? l : `${1.4e9 + (i - 1) * 300},${l.split(',')[1]}`)),
    0,
  ],
  ['every reading twice', plain.flatMap((l, i) => (i === 0 ? [l] : [l, l])), 0],
  ['words for numbers', rewrite((l, i) => (i % 50 === 49 ? `${l.split(',')[0]},NaN` : l)), 6],
  ['values beyond all bounds', rewrite((l, i) => (i === 0 ? l : `${l}e300`)), 0],
  ['one value for ever', rewrite((l, i) => (i === 0 ? l : `${l.split(',')[0]},5`)), 0],
  ['one row', plain.slice(0, 2), 0],
  ['no row', plain.slice(0, 1), 0],
]
for (const [name, lines, skipped] of shapes)
  test(`takes ${name}: a score for each row`, () => {
    const input = file(`shapes/${name.replaceAll(' ', '-')}.csv`, lines)
    const done = detect(input, '--out', join(dir, 'out'), '--json')
    expect(done).toMatchObject({ code: 0, err: '' })
    const report = JSON.parse(done.out)
    expect(report).toMatchObject({ rows: lines.length - 1, skipped })
    const scores = table(report.out)
      .slice(1)
      .map((r) => Number(r[2]))
    expect(scores).toHaveLength(lines.length - 1)
    expect(scores.filter((x) => !(x >= 0 && x <= 1))).toEqual([])
  })

test('a decimal comma where semicolons separate', () => {
  const rows = Array.from({ length: 500 }, (_, i) => {
    const value = (c: number) =>
      (10 + noise.gauss(10 + c, i) + (i > 450 ? 9 : 0)).toFixed(3).replace('.', ',')
    return `${time(i, 1)};${value(0)};${value(1)}`
  })
  const input = file('comma/machine.csv', ['datetime;a;b', ...rows])
  expect(JSON.parse(detect(input, '--out', join(dir, 'out'), '--json').out).alarms).toBe(1)
})

test('a file that cannot be read is told, and the others are done all the same', () => {
  const good = file('both/good.csv', plain)
  const done = detect(file('both/empty.csv', []), good, '--out', join(dir, 'out'))
  expect(done.code).toBe(1)
  expect(done.err).toMatch(/^Cannot read .*empty\.csv: .*\n$/)
  expect(table(join(dir, 'out/both/good.csv'))).toHaveLength(plain.length)
})

const usage: [string, string[], number, string][] = [
  ['no file', ['--out', dir], 2, 'no file is named'],
  ['no folder', ['x.csv'], 2, '--out DIR is missing'],
  ['an unknown flag', ['x.csv', '--out', dir, '--fast'], 2, 'fast'],
  ['a commissioning of nothing', ['x.csv', '--out', dir, '--learn', '59'], 2, '--learn must be 60 or more'],
  ['a file that is not there', [join(dir, 'nowhere.csv'), '--out', dir], 1, 'Cannot read'],
]
for (const [name, args, code, says] of usage)
  test(`refuses ${name}`, () => {
    const done = detect(...args)
    expect(done.code).toBe(code)
    expect(done.err).toContain(says)
  })

test('times in any of the usual forms give the same scores; a file without any readable row is an error', () => {
  const values = Array.from({ length: 700 }, (_, i) => (noise.gauss(3, i) + (i > 600 ? 40 : 0)).toFixed(3))
  const begin = Date.UTC(2014, 3, 1)
  const forms: [string, (i: number) => string][] = [
    ['space', (i) => new Date(begin + i * 3600e3).toISOString().slice(0, 19).replace('T', ' ')],
    ['minutes', (i) => new Date(begin + i * 3600e3).toISOString().slice(0, 16).replace('T', ' ')],
    ['zone', (i) => new Date(begin + i * 3600e3).toISOString()],
    ['seconds', (i) => String(begin / 1000 + i * 3600)],
    ['milliseconds', (i) => String(begin + i * 3600e3)],
    ['seconds since the recording began', (i) => String(i * 3600)],
    ['1950', (i) => new Date(begin - 64 * 365.25 * 864e5 + i * 3600e3).toISOString().slice(0, 19)],
    ['2090', (i) => new Date(begin + 76 * 365.25 * 864e5 + i * 3600e3).toISOString().slice(0, 19)],
  ]
  const scores = forms.map(([name, form]) => {
    const path = file(`times/${name}.csv`, ['timestamp,value', ...values.map((v, i) => `${form(i)},${v}`)])
    expect(detect(path, '--out', join(dir, 'out')).code).toBe(0)
    return table(join(dir, `out/times/${name}.csv`)).map((r) => r[2])
  })
  for (const [i, found] of scores.entries())
    expect({ form: forms[i]![0], found }).toEqual({ form: forms[i]![0], found: scores[0]! })
  const days = file('times/days.csv', ['timestamp,value', '2014-04-01,1', '2014-04-02,2'])
  expect(detect(days, '--out', join(dir, 'out'), '--json').out).toContain('"skipped":0')
  const none = detect(file('times/none.csv', ['timestamp,value', '04/01/14,1']), '--out', join(dir, 'out'))
  expect(none).toMatchObject({ code: 1, err: expect.stringContaining('no row has a time and a number') })
})

test('a machine stays alarmed through rows that come late, twice or without a time', () => {
  const at = (i: number) => time(i % 40 === 39 ? i - 2 : i % 40 === 20 ? i - 1 : i, 1)
  const row = (i: number) =>
    [
      i % 40 === 5 ? '' : at(i),
      ...[0, 1].map((c) => (noise.gauss(c, i) + (i >= 600 ? 9 : 0)).toFixed(4)),
    ].join(';')
  const path = file('late/m.csv', ['datetime;a;b', ...Array.from({ length: 1000 }, (_, i) => row(i))])
  const { out } = detect(path, '--out', join(dir, 'out'), '--json')
  expect(JSON.parse(out)).toMatchObject({ rows: 1000, skipped: 25, alarms: 1 })
  const rows = table(join(dir, 'out/late/m.csv'))
  expect(rows.slice(640).every((r) => r[2] === '1' && Number(r[1]) >= 0.5)).toBe(true)
})

test('no result replaces an input, by whatever name, or another result', () => {
  const input = file('kept/x.csv', plain)
  const before = readFileSync(input, 'utf8')
  symlinkSync(join(dir, 'in'), join(dir, 'linked'))
  for (const out of [join(dir, 'in'), join(dir, 'linked')]) {
    const done = detect(input, '--out', out)
    expect(done).toMatchObject({ code: 2, err: expect.stringContaining('which is an input') })
  }
  expect(readFileSync(input, 'utf8')).toBe(before)
  const [a, b] = [file('a/same/f.csv', plain), file('b/same/f.csv', plain)]
  const done = detect(a, b, '--out', join(dir, 'out'))
  expect(done).toMatchObject({
    code: 2,
    err: expect.stringContaining(`${a} and ${b} would both be written to`),
  })
  expect(existsSync(join(dir, 'out/same/f.csv'))).toBe(false)
})

test('a folder for results that is a file is told in words; one in the way of a result costs that result', () => {
  const taken = file('taken/file', ['x'])
  const done = detect(file('taken/x.csv', plain), '--out', taken)
  expect(done).toMatchObject({
    code: 2,
    err: expect.stringMatching(/^Cannot detect: --out must be a folder: .*\n$/),
  })
  mkdirSync(join(dir, 'out/way/first.csv'), { recursive: true })
  const both = detect(file('way/first.csv', plain), file('way/second.csv', plain), '--out', join(dir, 'out'))
  expect(both).toMatchObject({ code: 1, err: expect.stringMatching(/^Cannot write .*first\.csv: .*\n$/) })
  expect(table(join(dir, 'out/way/second.csv'))).toHaveLength(plain.length)
})

test.each([
  [';', '2020-01-01 00:00:00;3,26', '2020-01-01 00:00:00,3.26,0'],
  ['\t', '2020-01-01 00:00:00\t3,26', '2020-01-01 00:00:00,3.26,0'],
  ['\t', '2020-01-01 00:00:00\t3.26', '2020-01-01 00:00:00,3.26,0'],
  [',', '"2020-01-01 00:00:00","3,26"', '2020-01-01 00:00:00,"3,26",0'], // thousands or a decimal sign: nobody knows
  [';', '2020-01-01T00:00:00,5Z;3', '"2020-01-01T00:00:00,5Z",3,0'],
])('separated by %j: %s has a row of three cells', (separator, row, result) => {
  const input = file(
    'cells/x.csv',
    [['timestamp', 'value'], [row], ['2020-01-02', '4']].map((cells) => cells.join(separator)),
  )
  detect(input, '--out', join(dir, 'out'))
  expect(readFileSync(join(dir, 'out/cells/x.csv'), 'utf8').split('\n')[1]).toBe(result)
})

test('a label is no channel, however it is spelt', () => {
  const rows = (label: (i: number) => number) =>
    Array.from({ length: 600 }, (_, i) => `${time(i, 1)}\t${noise.gauss(1, i).toFixed(3)}\t${label(i)}`)
  const scores = [(i: number) => (i > 500 ? 1 : 0), () => 0].map((label, n) => {
    const input = file(`label/${n}.csv`, ['DateTime\ta\tAnomaly', ...rows(label)])
    expect(detect(input, '--out', join(dir, 'out')).code).toBe(0)
    return table(join(dir, `out/label/${n}.csv`))
  })
  expect(scores[0]).toEqual(scores[1]!)
})

describe('rows out of order', () => {
  const rows = Array.from(
    { length: 1500 },
    (_, i) => `${time(i, 300)},${(50 + noise.gauss(0, i) + (i === 1200 ? 15 : 0)).toFixed(3)}`,
  )
  const ran = (name: string, lines: string[]) => {
    const { code, out, err } = detect(
      file(`order/${name}.csv`, ['timestamp,value', ...lines]),
      '--out',
      join(dir, 'out'),
      '--json',
    )
    return { code, err, ...JSON.parse(out) }
  }
  const sound = ran('sound', rows)

  test('the newest first: told, and no success', () => {
    expect(sound).toMatchObject({ code: 0, err: '', late: 0 })
    expect(sound.alarms).toBeGreaterThan(0)
    const done = ran('newest-first', rows.toReversed())
    expect(done).toMatchObject({ code: 1, late: 1499 })
    expect(done.err).toContain('1499 of 1500 rows are not newer than those before them')
  })

  test.each([
    ['one time', 100, 1],
    ['the first time', 0, 1],
    ['three times', 100, 3],
  ])('%s of another century costs its row and no other', (_what, from, count) => {
    const moved = rows.map((row, i) => (i >= from && i < from + count ? row.replace(/^2014/, '2099') : row))
    const done = ran('century', moved)
    expect(done).toMatchObject({ code: 0, late: count })
    expect(Number(table(done.out)[1201]![2])).toBeGreaterThanOrEqual(0.5)
    expect(done.err).toContain('not judged')
  })

  test('what was late in the recording costs itself alone', () => {
    const moved = rows.toSpliced(120, 0, ...rows.slice(80, 90).map((row) => row.replace(/:00,/, ':30,')))
    expect(ran('burst', moved)).toMatchObject({ code: 0, rows: 1510, late: 10, alarms: sound.alarms })
  })

  test('the hour that autumn gives twice is late and ends no judgement', () => {
    const twice = [
      ...rows.slice(0, 700),
      ...rows.slice(688, 700).map((r) => r.replace(/.$/, '9')),
      ...rows.slice(700),
    ]
    expect(ran('autumn', twice)).toMatchObject({ code: 0, late: 12, alarms: sound.alarms })
  })
})
