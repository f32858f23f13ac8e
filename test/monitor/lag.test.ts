import { describe, expect, test } from 'bun:test'
import { groupVerdict, lagSeconds, lagVerdict, type Commit, type EndSeen } from '../../lib/monitor/lag.ts'

const NOW = 1_000_000
/** commits one second apart, the last one `lastAgeMs` ago */
const commits = (pairs: [offset: number, lag: number | null][], lastAgeMs = 0): Commit[] =>
  pairs.map(([offset, lag], i) => ({ offset, lag, at: NOW - lastAgeMs - (pairs.length - 1 - i) * 1000 }))
const ends = (...offsets: number[]): EndSeen[] =>
  offsets.map((offset, i) => ({ offset, at: NOW - (offsets.length - 1 - i) * 1000 }))

const CASES: [
  number: number,
  why: string,
  commits: Commit[],
  ends: EndSeen[],
  verdict: string,
  rule: number,
][] = [
  [1, 'nothing was ever committed', [], ends(50), 'OK', 0],
  [
    2,
    'one commit: a window without length must not cry STOP',
    commits([[10, 5]], 60_000),
    ends(20, 20),
    'OK',
    0,
  ],
  [
    3,
    'the end is unknown',
    commits([
      [10, null],
      [11, null],
      [12, null],
    ]),
    [],
    'OK',
    0,
  ],
  [
    4,
    'nothing waits',
    commits([
      [10, 0],
      [20, 0],
      [30, 0],
    ]),
    ends(10, 20, 30),
    'OK',
    1,
  ],
  [
    5,
    'nothing waits, though the last commit is long ago',
    commits(
      [
        [10, 0],
        [20, 0],
        [30, 0],
      ],
      600_000,
    ),
    ends(30, 30),
    'OK',
    1,
  ],
  [
    6,
    'commits ceased for longer than all of them span',
    commits(
      [
        [10, 5],
        [20, 6],
        [30, 7],
      ],
      2500,
    ),
    ends(37, 40, 45),
    'STOP',
    2,
  ],
  [
    7,
    'commits ceased, but the log was empty a moment ago: the first message has just come',
    commits(
      [
        [10, 0],
        [20, 0],
        [30, 0],
      ],
      600_000,
    ),
    ends(30, 31),
    'OK',
    4,
  ],
  [
    8,
    'commits ceased for less than they span',
    commits(
      [
        [10, 5],
        [20, 6],
        [30, 5],
      ],
      1500,
    ),
    ends(35, 36),
    'OK',
    7,
  ],
  [
    9,
    'an offset went back and stays back',
    commits([
      [30, 5],
      [10, 25],
      [12, 24],
    ]),
    ends(35, 36),
    'REWIND',
    3,
  ],
  [
    10,
    'a rewind does not hide behind an old lag of zero',
    commits([
      [30, 0],
      [10, 25],
      [12, 24],
    ]),
    ends(35, 36),
    'REWIND',
    3,
  ],
  [
    11,
    'an offset went back and was reached again',
    commits([
      [30, 5],
      [10, 25],
      [40, 3],
    ]),
    ends(42, 43),
    'OK',
    7,
  ],
  [
    12,
    'nothing waited at one moment of the window',
    commits([
      [10, 3],
      [20, 0],
      [21, 9],
    ]),
    ends(30, 32),
    'OK',
    4,
  ],
  [
    13,
    'commits that do not move',
    commits([
      [10, 3],
      [10, 4],
      [10, 5],
    ]),
    ends(14, 15),
    'STALL',
    5,
  ],
  [
    14,
    'moves, but the lag only grows',
    commits([
      [10, 3],
      [11, 4],
      [12, 6],
    ]),
    ends(17, 18),
    'WARN',
    6,
  ],
  [
    15,
    'the same lag in all commits falls behind nowhere better: still WARN by the rule',
    commits([
      [10, 3],
      [11, 3],
      [12, 3],
    ]),
    ends(14, 15),
    'WARN',
    6,
  ],
  [
    16,
    'the lag shrank once',
    commits([
      [10, 8],
      [15, 3],
      [16, 4],
    ]),
    ends(18, 20),
    'OK',
    7,
  ],
  [
    17,
    'an unknown lag is skipped, not read as zero',
    commits([
      [10, 3],
      [11, null],
      [12, 6],
    ]),
    ends(17, 18),
    'WARN',
    6,
  ],
  [
    18,
    'unknown lags alone say nothing',
    commits([
      [10, null],
      [11, null],
      [12, null],
    ]),
    ends(17, 18),
    'OK',
    7,
  ],
]

describe('lagVerdict()', () => {
  test.each(CASES)('%i: %s', (_number, _why, c, e, verdict, rule) => {
    expect(lagVerdict({ commits: c, ends: e, size: 8 }, NOW)).toMatchObject({ verdict, rule })
  })

  test('a window that is nearly empty is not judged, and says how full it is', () => {
    const seen = lagVerdict(
      {
        commits: commits(
          [
            [10, 5],
            [10, 6],
          ],
          60_000,
        ),
        ends: ends(20, 20),
        size: 12,
      },
      NOW,
    )
    expect(seen).toEqual({ verdict: 'OK', rule: 0, complete: 2 / 12 })
  })
})

describe('lagSeconds()', () => {
  test('is 0 where nothing waits, however old the log', () => {
    expect(lagSeconds(ends(10, 10, 10), 10, NOW)).toBe(0)
  })
  test('counts since the end went beyond the next offset', () => {
    // the end was 10 three seconds ago and 20 two seconds ago: message 15 came half-way
    expect(lagSeconds(ends(10, 20, 30, 40), 15, NOW)).toBeCloseTo(2.5, 6)
  })
  test('counts from the last moment of a quiet log, not from its beginning', () => {
    const quiet = [
      { offset: 10, at: NOW - 100_000 },
      { offset: 10, at: NOW - 4000 },
      { offset: 11, at: NOW - 3000 },
    ]
    expect(lagSeconds(quiet, 10, NOW)).toBeCloseTo(4, 6)
  })
  test('falls back on the age of the newest stored reading where the ends seen do not reach back', () => {
    expect(lagSeconds(ends(500), 10, NOW, NOW - 90_000)).toBe(90)
    expect(lagSeconds(ends(500), 10, NOW)).toBeNull()
  })
  test('is unknown where no end was ever seen', () => {
    expect(lagSeconds([], 10, NOW, NOW - 5)).toBeNull()
  })
})

describe('groupVerdict()', () => {
  test('is its worst partition; what does not move is an error', () => {
    expect(groupVerdict([])).toBe('OK')
    expect(groupVerdict(['OK', 'WARN'])).toBe('WARN')
    expect(groupVerdict(['WARN', 'STALL', 'OK'])).toBe('ERR')
    expect(groupVerdict(['STOP'])).toBe('ERR')
    expect(groupVerdict(['REWIND'])).toBe('ERR')
  })
})
