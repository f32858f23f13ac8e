import { describe, expect, test } from 'bun:test'
import { placeOfFault } from '../../lib/fleet/json-fault.ts'
import { planSoda, readSodaPlan, type SodaPlanOptions } from '../../lib/fleet/soda-plan.ts'
import { EXIT, Stop } from '../../lib/run.ts'

const plan = (content: unknown, over: Partial<SodaPlanOptions> = {}) =>
  planSoda({
    text: typeof content === 'string' ? content : JSON.stringify(content),
    file: 'lines.json',
    factories: null,
    seed: '1',
    ...over,
  })
const cola = { sodaName: 'Coca-Cola', number: 10, sensorID: 'S1-1' }
const refusal = (content: unknown): string => {
  try {
    plan(content)
  } catch (error) {
    if (!(error instanceof Stop)) throw error
    expect(error.exitCode).toBe(EXIT.config)
    return error.message
  }
  throw new Error('it was taken')
}

describe('planSoda()', () => {
  test('the configuration that ships is the six lines of three factories, without a warning', () => {
    const shipped = plan(readSodaPlan('config/factory_config.json'))
    expect(shipped.lines.map((l) => `${l.factoryId} ${l.sodaName} ${l.sensorId}`)).toEqual([
      'F1 Coca-Cola S1-1',
      'F1 Pepsi S1-2',
      'F2 Sprite S2-1',
      'F2 Fanta S2-2',
      'F3 Dr Pepper S3-1',
      'F3 Mountain Dew S3-2',
    ])
    expect(shipped.lines.slice(0, 2).map((l) => l.total)).toEqual([10, 8])
    for (const { total } of shipped.lines) expect(total >= 5 && total <= 15).toBe(true)
    expect(shipped.warnings).toEqual([])
  })

  test('each factory has three to five sensors with one of five tiers, drawn from the seed', () => {
    const tiers = new Set<string>()
    const counts = new Set<number>()
    for (let seed = 0; seed < 50; seed++) {
      const { sensors, factories } = plan({ F1: [cola] }, { seed: String(seed) })
      for (const factory of factories) {
        const own = sensors.filter((s) => s.factoryId === factory)
        counts.add(own.length)
        expect(own.map((s) => s.sensorId)).toEqual(own.map((_, i) => `S${factory.slice(1)}-${i + 1}`))
        for (const s of own) tiers.add(s.tier)
      }
    }
    expect([...counts].sort()).toEqual([3, 4, 5])
    expect([...tiers].sort()).toEqual(['1.1', '1.2', '2.1', '2.2', '3.1'])
    expect(plan({}, { seed: '7' })).toEqual(plan({}, { seed: '7' }))
    expect(plan({}, { seed: '7' }).sensors).not.toEqual(plan({}, { seed: '8' }).sensors)
  })

  test('one more factory changes none of the others', () => {
    const few = plan({}, { factories: 2 }).sensors
    expect(plan({}, { factories: 9 }).sensors.slice(0, few.length)).toEqual(few)
  })

  test.each([
    [
      1,
      'a factory without a part',
      { F1: [cola], F2: [] },
      null,
      ['lines.json has no part for factory F3: it makes nothing'],
    ],
    [
      2,
      'a part for a factory that does not run',
      { F1: [cola], F2: [], F3: [] },
      2,
      ['lines.json has a part for F3, which does not run: 2 factories do (--factories)'],
    ],
    [
      3,
      'the same line twice',
      { F1: [cola, cola], F2: [], F3: [] },
      null,
      ['F1: Coca-Cola on S1-1 is skipped: that line is there already'],
    ],
  ] as const)('%i: %s is a warning, and the rest goes on', (_, _what, content, factories, warnings) => {
    const seen = plan(content, { factories })
    expect(seen.warnings).toEqual([...warnings])
    expect(seen.lines).toHaveLength(1)
  })

  test('an item on an unknown sensor, or on another factory’s, is skipped with a warning that names what there is', () => {
    const { lines, warnings } = plan({
      F1: [cola, { ...cola, sensorID: 'S1-9' }, { ...cola, sensorID: 'S2-1' }],
      F2: [],
      F3: [],
    })
    expect(lines).toHaveLength(1)
    expect(warnings).toHaveLength(2)
    expect(warnings[0]).toStartWith(
      'F1: Coca-Cola on S1-9 is skipped: F1 has no sensor S1-9, it has S1-1, S1-2, S1-3',
    )
    expect(warnings[1]).toStartWith('F1: Coca-Cola on S2-1 is skipped: F1 has no sensor S2-1 (F2 has it), it')
  })

  test.each([
    ['drawn for a factory that comes later', 'S2-1', 'F1', 'F2'],
    ['brought by a factory that came before', 'X-1', 'F2', 'F1'],
  ])('a tier brings no sensor that another factory has: %s', (_what, sensorID, asks, has) => {
    const item = { ...cola, sensorID, tier: '1.1' }
    const parts = { F1: [] as object[], F2: [] as object[], F3: [] }
    if (asks === 'F2') parts.F1.push(item)
    parts[asks as 'F1' | 'F2'].push(item)
    const { sensors, warnings } = plan(parts)
    expect(sensors.filter((s) => s.sensorId === sensorID).map((s) => s.factoryId)).toEqual([has])
    expect(warnings).toEqual([
      expect.stringContaining(
        `${asks}: Coca-Cola on ${sensorID} is skipped: ${asks} has no sensor ${sensorID} (${has} has it)`,
      ),
    ])
  })

  test('an item that names a tier brings its sensor along; a factory of another name has those alone', () => {
    const { factories, sensors, lines, warnings } = plan({
      F1: [{ ...cola, tier: '3.1' }],
      F2: [],
      F3: [],
      Essen: [
        { sodaName: 'Fritz', number: 2, sensorID: 'E-1', tier: '2.2' },
        { sodaName: 'Fritz', number: 2, sensorID: 'E-2' },
      ],
    })
    expect(factories).toEqual(['F1', 'F2', 'F3', 'Essen'])
    expect(lines.map((l) => `${l.sensorId} ${l.tier}`)).toEqual(['S1-1 3.1', 'E-1 2.2'])
    expect(sensors.filter((s) => s.factoryId === 'Essen')).toEqual([
      { factoryId: 'Essen', sensorId: 'E-1', tier: '2.2' },
    ])
    expect(sensors.find((s) => s.sensorId === 'S1-1')?.tier).toBe('3.1')
    expect(warnings).toEqual(['Essen: Fritz on E-2 is skipped: Essen has no sensor E-2, it has E-1'])
  })

  test('malformed JSON is told with its line and column', () => {
    expect(refusal('{\n  "F1": [\n    {"sodaName": "Cola",}\n  ]\n}')).toStartWith(
      'Cannot start: lines.json is not JSON: line 3, column 25: ',
    )
    expect(refusal('')).toContain('line 1, column 1')
  })

  test('JSON that is no configuration: every fault in one message, with its place and the form', () => {
    const said = refusal({
      F1: [
        { ...cola, number: 0 },
        { sodaName: '', number: 'ten', sensorID: 'S1 1' },
      ],
      F2: 'none',
    })
    for (const place of ['F1[0].number', 'F1[1].sodaName', 'F1[1].number', 'F1[1].sensorID', 'F2'])
      expect(said).toContain(`  ${place}: `)
    expect(said).toContain('lines.json has 5 fault(s)')
    expect(said).toContain('its form is {"F1": [{"sodaName"')
    expect(refusal([])).toContain('the whole: ')
  })

  test('a file that is not there is named', () => {
    expect(() => readSodaPlan('nowhere.json')).toThrow('Cannot start: "nowhere.json": there is no such file')
  })
})

test.each([
  ['{"a": 1,}', 1, 9],
  ['{\n "a": [1 2]}', 2, 10],
  ['{"F1":[{"s":"x"}', 1, 17],
  ['nope', 1, 1],
  ['{\n"a":1 // x\n}', 2, 7],
  ['[1] 2', 1, 5],
  ['{"a" 1}', 1, 6],
  ['["a\tb"]', 1, 2],
])('placeOfFault(%j) is line %i, column %i', (text, line, column) => {
  expect(() => JSON.parse(text)).toThrow()
  expect(placeOfFault(text)).toEqual({ line, column })
})
