import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createReplay } from '../../lib/fleet/replay.ts'
import { factoryMessage } from '../../lib/reading.ts'
import { formatMicros, parseMicros } from '../../lib/time.ts'
import { csvFiles, OPTIONS, replay, short, virtualClock } from './replayed.ts'

const NOW = parseMicros('2026-01-01T12:00:00.000000Z')

describe('createReplay() of CSV', () => {
  test('keep: each row has its own time, its exact value, and is history', async () => {
    const { seen } = await replay(
      'timestamp,value\n2014-04-01 00:00:00,18.6221849224\n2014-04-01 00:05:00.25,-8e-3\n',
    )
    expect(seen.map(short)).toEqual([
      'pump 2014-04-01T00:00:00.000000Z 18.6221849224',
      'pump 2014-04-01T00:05:00.250000Z -0.008',
    ])
    expect(seen.map((m) => m.reading.metadata)).toEqual([{ history: true }, { history: true }])
    const message = JSON.parse(seen[0]!.encode({ runId: 'r', seq: 7 }) as string)
    expect(factoryMessage.safeParse(message).error).toBeUndefined()
    expect(message).toMatchObject({
      sensor_id: 'pump',
      sensor_type: 'replay',
      unit: '',
      value: 18.6221849224,
    })
    expect(message.metadata).toMatchObject({ history: true, reading_count: 7 })
  })

  test('shift: each row is stamped with the moment it is sent, and is live', async () => {
    const { seen, clock } = await replay(
      'time,v\n2020-01-01 00:00:00,1\n2020-01-01 00:01:00,2\n2020-01-01 00:03:00,3\n',
      {
        time: 'shift',
        speed: 60,
      },
    )
    expect(seen.map((m) => (m.reading.measuredAt - NOW) / 1_000_000)).toEqual([0, 1, 3])
    expect(seen.every((m) => m.reading.metadata === null)).toBe(true)
    expect(clock.now()).toBe(NOW + 3_000_000)
  })

  test('shift at full speed waits for nothing and gives no two rows the same time', async () => {
    const rows = Array.from({ length: 3000 }, (_, i) => `2020-01-01 00:00:00,${i}`).join('\n')
    const { seen, clock } = await replay(`time,v\n${rows}\n`, { time: 'shift', speed: 'max' })
    expect(new Set(seen.map((m) => m.reading.measuredAt)).size).toBe(3000)
    expect(clock.now()).toBe(NOW)
  })

  test('a column is a sensor; names are made to fit and stay apart', async () => {
    const long = 'x'.repeat(80)
    const { seen } = await replay(
      `datetime;Volume Flow RateRMS;Volume/Flow RateRMS;Flow;Flow;${long};Größe °C\n2020-03-01 15:44:06;1;2;3;4;5;6\n`,
    )
    const ids = seen.map((m) => m.key)
    expect(ids.slice(0, 4)).toEqual([
      'pump.Volume_Flow_RateRMS',
      'pump.Volume_Flow_RateRMS-2',
      'pump.Flow',
      'pump.Flow-2',
    ])
    expect(ids[5]).toBe('pump.Gro_e_C')
    expect(new Set(ids).size).toBe(6)
    for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9._:-]{1,64}$/)
  })

  test('columns can be chosen by name; what holds text is left out by itself', async () => {
    const text =
      'id,when,a,b,state\n7,2020-01-01T00:00:00+01:00,1,2,ok\n8,2020-01-01T00:00:01+01:00,3,4,bad\n'
    expect((await replay(text)).seen.map((m) => m.key)).toEqual(
      ['id', 'a', 'b', 'id', 'a', 'b'].map((c) => `pump.${c}`),
    )
    const { seen } = await replay(text, { timeColumn: 'when', valueColumns: ['b', 'A'] })
    expect(seen.map(short)).toEqual([
      'pump.b 2019-12-31T23:00:00.000000Z 2',
      'pump.A 2019-12-31T23:00:00.000000Z 1'.replace('.A', '.a'),
      'pump.b 2019-12-31T23:00:01.000000Z 4',
      'pump.a 2019-12-31T23:00:01.000000Z 3',
    ])
    expect(replay(text, { valueColumns: ['pressure'] })).rejects.toThrow(
      'Cannot replay: there is no column "pressure": it has "id", "when", "a", "b", "state"',
    )
  })

  test.each([
    ['1700000000,5', '2023-11-14T22:13:20.000000Z', 'epoch in seconds, no header'],
    ['1700000000.123456,5', '2023-11-14T22:13:20.123456Z', 'with a fraction'],
    ['1700000000123,5', '2023-11-14T22:13:20.123000Z', 'in milliseconds'],
    ['1700000000123456,5', '2023-11-14T22:13:20.123456Z', 'in microseconds'],
    ['1700000000123456789,5', '2023-11-14T22:13:20.123456Z', 'in nanoseconds'],
    ['t,v\n2023-11-14 22:13:20.123456,5', '2023-11-14T22:13:20.123456Z', 'a space, no zone: UTC'],
    ['t,v\n2023-11-14T23:13:20+01:00,5', '2023-11-14T22:13:20.000000Z', 'ISO with a zone'],
    ['t,v\n2023-11-14 22:13,5', '2023-11-14T22:13:00.000000Z', 'minutes'],
    ['Date,v\n2023-11-14,5', '2023-11-14T00:00:00.000000Z', 'a date alone'],
    ['\ufefft;v\r\n2023-11-14;5\r\n', '2023-11-14T00:00:00.000000Z', 'byte order mark, CRLF'],
    ['"t","v"\n"2023-11-14","5"', '2023-11-14T00:00:00.000000Z', 'everything quoted'],
    ['v,when\n5,2023-11-14 00:00:00', '2023-11-14T00:00:00.000000Z', 'the time found by what it is'],
    ['2023-11-14 00:00:00,5', '2023-11-14T00:00:00.000000Z', 'no header'],
  ])('reads the time of %j as %s (%s)', async (text, at) => {
    expect((await replay(text)).seen.map(short)).toEqual([`pump ${at} 5`])
  })

  test('bad rows are counted and the others read: nothing crashes it', async () => {
    const { seen, summary } = await replay(
      [
        'time,a,b',
        '2020-01-01 00:00:00,1,2',
        '2020-02-30 00:00:00,1,2', // no such day
        'yesterday,1,2',
        '2020-01-01 00:00:02,1', // too short
        '2020-01-01 00:00:03,1,2,3', // too long
        '2020-01-01 00:00:04,1,2,', // a separator at the end is none
        '',
        '2020-01-01 00:00:05,,NaN', // nothing measured
        '2020-01-01 00:00:06,1e400,7',
        '2020-01-01 00:00:07,0x10,8',
        '2020-01-01 00:00:08,"1,5",9', // a decimal comma may mean either
        '2020-01-01 00:00:09,9007199254740993,10', // beyond what a double holds
        '2020-01-01 00:00:10,"3,11',
        '2020-01-01 00:00:11,4,12',
      ].join('\n'),
    )
    expect(seen.map((m) => m.reading.value)).toEqual([1, 2, 1, 2, 7, 8, 9, 10, 4, 12])
    expect(summary).toMatchObject({ rows: 7, readings: 10, bad: 9, empty: 2 })
  })

  test('values alone, without a time, are stamped as they are sent, and cannot be kept as history', async () => {
    const { seen } = await replay('12.5\n13\n', { time: 'shift', speed: 1 })
    expect(seen.map(short)).toEqual([
      `pump ${formatMicros(NOW)} 12.5`,
      `pump ${formatMicros(NOW + 1_000_000)} 13`,
    ])
    const kept = await replay('12.5\n13\n', { time: 'keep' })
    expect(kept.seen).toEqual([])
    expect(kept.summary.bad).toBe(2)
  })

  test.each(['', '\n\n', 'time,value\n', '\ufeff'])('of %j ends with nothing', async (text) => {
    expect((await replay(text)).seen).toEqual([])
  })

  test('reads the same in whatever pieces the bytes arrive', async () => {
    const text =
      'datetime;Größe;b\r\n2020-01-01 00:00:00;1;2\r\n"2020-01-01 00:00:01";"3";4\r\n2020-01-01 00:00:02;5;6'
    const whole = await replay(text)
    for (const size of [1, 2, 3, 7, 20])
      expect((await replay(text, {}, size)).seen.map(short)).toEqual(whole.seen.map(short))
  })

  test('reads UTF-16 as spreadsheets export it', async () => {
    const bytes = Buffer.from(
      '\ufefftime\tGröße\n2020-01-01 00:00:00\t5\n2020-01-01 00:00:01\t6\n',
      'utf16le',
    )
    const { seen } = await replay(bytes)
    expect(seen.map((m) => m.reading.value)).toEqual([5, 6])
  })

  test('takes no more from its input than the consumer asks for', async () => {
    let pulled = 0
    const input = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          pulled++
          controller.enqueue(Buffer.from((pulled === 1 ? 'v\n' : '') + '1\n'.repeat(2000)))
        },
      },
      { highWaterMark: 0 },
    )
    const stop = new AbortController()
    let batches = 0
    for await (const batch of createReplay({
      ...OPTIONS,
      speed: 'max',
      time: 'shift',
      input,
      clock: virtualClock(),
    }).readings(stop.signal)) {
      batches++
      expect(batch.length).toBeLessThanOrEqual(1000)
      expect(pulled).toBeLessThanOrEqual(Math.ceil(batches / 2) + 1)
      if (batches === 100) stop.abort() // the input itself never ends
    }
    expect(batches).toBe(100)
  })

  test('ends on abort while it waits for input that does not come', async () => {
    const stop = new AbortController()
    const input = new ReadableStream<Uint8Array>({ start: (c) => c.enqueue(Buffer.from('v\n1\n2\n')) })
    const seen: number[] = []
    for await (const batch of createReplay({ ...OPTIONS, speed: 'max', time: 'shift', input }).readings(
      stop.signal,
    )) {
      seen.push(...batch.map((m) => m.reading.value))
      setTimeout(() => stop.abort(), 1)
    }
    expect(seen).toEqual([1, 2])
  })

  test('goes on like a stopped tape after the spool blocked', async () => {
    const clock = virtualClock()
    const rows = Array.from(
      { length: 30 },
      (_, i) => `2020-01-01 00:00:${String(i).padStart(2, '0')},${i}`,
    ).join('\n')
    const input = new Response(`t,v\n${rows}\n`).body!
    const at: number[] = []
    for await (const batch of createReplay({ ...OPTIONS, speed: 1, time: 'shift', input, clock }).readings(
      new AbortController().signal,
    )) {
      for (const m of batch) at.push((m.reading.measuredAt - NOW) / 1_000_000)
      if (at.length === 10) clock.advance(100)
    }
    expect(at).toEqual([...Array(10).keys(), ...[...Array(20).keys()].map((i) => 109 + i)])
  })
})

describe('createReplay() of NDJSON', () => {
  test('passes the product’s own messages with their own fields', async () => {
    const own = {
      timestamp: '2025-09-16T21:41:41.011144Z',
      sensor_id: 'temp-sensor-001',
      sensor_type: 'temperature',
      location: { factory_section: 'production', machine_id: 'machine-001', zone: 'zone-a' },
      value: 42.48,
      unit: '°C',
      alert_level: 'critical',
      quality: 0.5,
      metadata: { reading_count: 14, warning_threshold: 35, critical_threshold: 40, batch: 'B7' },
    }
    const { seen } = await replay(JSON.stringify(own) + '\n', { format: 'ndjson' })
    const sent = JSON.parse(seen[0]!.encode({ runId: 'new', seq: 1 }) as string)
    expect(sent).toEqual({
      ...own,
      metadata: { ...own.metadata, reading_count: 1, run_id: 'new', history: true },
    })
    const shifted = await replay(JSON.stringify({ ...own, metadata: { history: true } }), { time: 'shift' })
    expect(shifted.seen[0]?.reading).toMatchObject({
      measuredAt: NOW,
      metadata: null,
      claimedLevel: 'critical',
    })
  })

  test('reads any object: time and value by name, an id of its own, every number a sensor', async () => {
    const { seen } = await replay(
      [
        '{"time":"2020-01-01T00:00:00Z","value":1.5}',
        '{"ts":1577836800000,"value":"2.5","sensor_id":"hall 7"}',
        '{"timestamp":1577836801,"rpm":900,"load":0.25,"state":"on"}',
      ].join('\n'),
    )
    expect(seen.map(short)).toEqual([
      'pump 2020-01-01T00:00:00.000000Z 1.5',
      'hall_7 2020-01-01T00:00:00.000000Z 2.5',
      'pump.rpm 2020-01-01T00:00:01.000000Z 900',
      'pump.load 2020-01-01T00:00:01.000000Z 0.25',
    ])
    const named = await replay('{"when":"2020-01-01T00:00:00Z","x":3,"y":4}', {
      timeColumn: 'when',
      valueColumns: ['y'],
    })
    expect(named.seen.map(short)).toEqual(['pump 2020-01-01T00:00:00.000000Z 4'])
  })

  test('bad lines are counted and the others read', async () => {
    const { seen, summary } = await replay(
      [
        '{"t":"2020-01-01T00:00:00Z","value":1}',
        '{"t":"2020-01-01T00:00:00Z","value":',
        '[1,2]',
        'null',
        '{"t":"never","value":1}',
        '{"t":"2020-01-01T00:00:00Z","value":{"a":1}}',
        '{"t":"2020-01-01T00:00:00Z","value":null}',
        '{"t":"2020-01-01T00:00:00Z","value":1e400}',
        '{"t":"2020-01-01T00:00:00Z"}',
        '{"__proto__":{"value":1},"t":"2020-01-01T00:00:00Z"}',
        '{"sensor_type":"temperature","location":{},"value":1}',
        `{"t":"2020-01-01T00:00:00Z","value":1,"pad":"${'x'.repeat(600_000)}"}`,
        '{"t":"2020-01-01T00:00:01Z","value":2}',
      ].join('\n'),
      {},
      65_536,
    )
    expect(seen.map((m) => m.reading.value)).toEqual([1, 2])
    expect(summary).toMatchObject({ readings: 2, bad: 10, empty: 1 })
  })
})

test('createReplay() names all that is wrong with its options in one message', () => {
  const wrong = {
    ...OPTIONS,
    file: '/no/such',
    speed: 0,
    time: 'keep',
    separator: ';;',
    sensorId: 'a b',
    sensorType: 'Pump',
  } as const
  expect(() => createReplay(wrong)).toThrow(
    'Cannot replay /no/such: there is no such file; --separator must be one character or tab: got ";;"; --speed must be a number above 0 or max: got 0; ' +
      '--sensor-id must be 1 to 64 of the characters A-Z a-z 0-9 . _ : -: got "a b"; --sensor-type must be a lower-case word of at most 32 characters: got "Pump"',
  )
  expect(() => createReplay({ ...OPTIONS, file: '/tmp', speed: 1, time: 'keep' })).toThrow('it is a folder')
})

const RECORDINGS = join(import.meta.dir, '../../../shared/data/open')

describe('real recordings', () => {
  const files = existsSync(RECORDINGS) ? csvFiles(RECORDINGS) : []

  test('are there, at least where the gate runs', () => {
    if (process.env.CI && files.length === 0)
      throw new Error(`Cannot replay real recordings: ${RECORDINGS} is missing: put nab and skab there`)
    expect(files.length === 0 || files.length > 40).toBe(true)
  })

  test.each(files)('%s comes out complete, time for time and value for value', async (file) => {
    const [header, ...lines] = readFileSync(join(RECORDINGS, file), 'utf8').trimEnd().split(/\r?\n/)
    const separator = header!.includes(';') ? ';' : ','
    const expected = lines.flatMap((line) => {
      const [time, ...values] = line.split(separator)
      return values.map((value) => `${time!.replace(' ', 'T')}.000000Z ${Number(value)}`)
    })
    const seen: string[] = []
    const source = createReplay({ ...OPTIONS, file: join(RECORDINGS, file), speed: 'max', time: 'keep' })
    for await (const batch of source.readings(new AbortController().signal))
      for (const m of batch) seen.push(`${formatMicros(m.reading.measuredAt)} ${m.reading.value}`)
    expect(seen).toEqual(expected)
    expect(source.summary()).toMatchObject({
      rows: lines.length,
      readings: expected.length,
      bad: 0,
      empty: 0,
    })
  })
})
