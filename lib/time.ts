/**
 * Time on the wire and in the tables is UTC with microseconds; inside it is one number, microseconds since 1970: exact
 * from 1684 to 2255, within 16 µs from year 1 to 9999.
 */
export type Micros = number

const SECOND = 1_000_000
const DAY = 86_400 * SECOND
const DAYS_BEFORE_MONTH = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334]

/** milliseconds to add to the monotonic clock; that one stands still while a machine sleeps, and knows no correction */
let monotonicToWall = performance.timeOrigin

/** Now by the clock of the machine, with the microseconds that Date does not have. */
export function nowMicros(): Micros {
  const wall = Date.now()
  let now = monotonicToWall + performance.now()
  if (Math.abs(now - wall) > 2) {
    monotonicToWall += wall - now
    now = wall
  }
  return Math.round(now * 1000)
}

/**
 * RFC 3339 date-time with `Z` or a numeric offset → microseconds since 1970; NaN where it is none (no zone, 30 February,
 * hour 24) or lies outside the years 1 to 9999 in UTC; more than six fraction digits are cut, not refused. Written by hand because Date.parse turns 30 February
 * into 2 March and knows milliseconds only.
 */
export function parseMicros(text: string): Micros {
  if (text.length === 27 && text.startsWith(knownDay)) {
    const us = microsOfDay(text)
    if (us >= 0) return knownDayMicros + us
  }
  const us = parseAny(text)
  return us >= FIRST && us <= LAST ? us : NaN
}

/** 0001-01-01 and 9999-12-31 in UTC: beyond them PostgreSQL says BC, and our own text needs another form. */
const FIRST = -62_135_596_800 * SECOND
const LAST = 253_402_300_799 * SECOND + 999_968 // the last double before the year 10000

/** The day of the last time parsed, with its `T`: nearly every reading is of the same day as the one before it. */
let knownDay = ' '
let knownDayMicros = 0

const RFC3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d\d):?(\d\d))$/

function parseAny(text: string): Micros {
  const m = RFC3339.exec(text)
  if (!m) return NaN
  const day = dayMicros(Number(m[1]), Number(m[2]), Number(m[3]))
  const hour = Number(m[4])
  const minute = Number(m[5])
  const second = Number(m[6])
  if (Number.isNaN(day) || hour > 23 || minute > 59 || second > 59) return NaN
  const fraction = m[7] ? Number(m[7].slice(0, 6).padEnd(6, '0')) : 0
  const local = day + (hour * 3600 + minute * 60 + second) * SECOND + fraction
  knownDay = text.slice(0, 11)
  knownDayMicros = day
  if (m[8]) return local
  const offsetHours = Number(m[10])
  const offsetMinutes = Number(m[11])
  if (offsetHours > 23 || offsetMinutes > 59) return NaN
  const offset = (offsetHours * 3600 + offsetMinutes * 60) * SECOND
  return m[9] === '-' ? local + offset : local - offset
}

/** `…Thh:mm:ss.ffffffZ` → microseconds of the day; -1 where it is not exactly that. */
function microsOfDay(text: string): Micros {
  if (text[13] !== ':' || text[16] !== ':' || text[19] !== '.' || text[26] !== 'Z') return -1
  const hour = digits(text, 11, 13)
  const minute = digits(text, 14, 16)
  const second = digits(text, 17, 19)
  const fraction = digits(text, 20, 26)
  if (!(hour <= 23 && minute <= 59 && second <= 59 && fraction >= 0)) return -1
  return (hour * 3600 + minute * 60 + second) * SECOND + fraction
}

function digits(text: string, from: number, to: number): number {
  let n = 0
  for (let i = from; i < to; i++) {
    const digit = text.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return NaN
    n = n * 10 + digit
  }
  return n
}

/** The same for times without a zone, read as UTC: for recordings and for the line fleet, whose format has none. */
export function parseMicrosAssumingUtc(text: string): Micros {
  const zoned = parseMicros(text)
  return Number.isNaN(zoned) ? parseMicros(`${text}Z`) : zoned
}

/** `2025-09-16T21:41:41.011144Z`: always six fraction digits, so that times sort as text. */
export function formatMicros(us: Micros): string {
  const ms = Math.floor(us / 1000)
  const rest = us - ms * 1000
  return new Date(ms).toISOString().slice(0, -1) + String(rest).padStart(3, '0') + 'Z'
}

/** Days from civil date after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms". NaN for a date that does not exist. */
function dayMicros(year: number, month: number, day: number): Micros {
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
  const before = DAYS_BEFORE_MONTH[month - 1]
  if (before === undefined || day < 1 || year < 1) return NaN
  const daysInMonth = month === 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31
  if (day > daysInMonth) return NaN
  const years = year - 1
  const leapDays = Math.floor(years / 4) - Math.floor(years / 100) + Math.floor(years / 400)
  return (years * 365 + leapDays + before + (leap && month > 2 ? 1 : 0) + (day - 1) - 719_162) * DAY
}
