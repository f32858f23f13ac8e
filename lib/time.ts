/** Time on the wire and in the tables is UTC with microseconds; inside it is one number, microseconds since 1970. */
export type Micros = number

const SECOND = 1_000_000
const DAY = 86_400 * SECOND
const DAYS_BEFORE_MONTH = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334]

export function nowMicros(): Micros {
  return Math.round((performance.timeOrigin + performance.now()) * 1000)
}

/**
 * RFC 3339 date-time with `Z` or a numeric offset → microseconds since 1970; NaN where it is none (no zone, 30 February,
 * hour 24, more than six fraction digits are cut, not refused). Written by hand because Date.parse turns 30 February
 * into 2 March and knows milliseconds only.
 */
export function parseMicros(text: string): Micros {
  const m =
    /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d\d):?(\d\d))$/.exec(
      text,
    )
  if (!m) return NaN
  const local = civilMicros(+m[1]!, +m[2]!, +m[3]!, +m[4]!, +m[5]!, +m[6]!, fractionMicros(m[7]))
  if (m[8]) return local
  const offsetHours = +m[10]!
  const offsetMinutes = +m[11]!
  if (offsetHours > 23 || offsetMinutes > 59) return NaN
  const offset = (offsetHours * 3600 + offsetMinutes * 60) * SECOND
  return m[9] === '-' ? local + offset : local - offset
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

function fractionMicros(digits: string | undefined): number {
  return digits ? +digits.slice(0, 6).padEnd(6, '0') : 0
}

/** Days from civil date after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms". NaN for a date that does not exist. */
function civilMicros(
  year: number,
  month: number,
  day: number,
  hour: number,
  minute: number,
  second: number,
  fraction: number,
): Micros {
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
  const daysInMonth =
    month === 2 ? (leap ? 29 : 28) : month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth || hour > 23 || minute > 59 || second > 59)
    return NaN
  const years = year - 1
  const days =
    years * 365 +
    Math.floor(years / 4) -
    Math.floor(years / 100) +
    Math.floor(years / 400) +
    DAYS_BEFORE_MONTH[month - 1]! +
    (leap && month > 2 ? 1 : 0) +
    (day - 1) -
    719_162
  return days * DAY + (hour * 3600 + minute * 60 + second) * SECOND + fraction
}
