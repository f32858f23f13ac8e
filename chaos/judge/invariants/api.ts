import type { Answer, Evidence } from '../evidence.ts'
import { createFinding, type Finding } from '../finding.ts'

/** A section that calls itself ok is no older than this. */
const FRESH_S = 10
const DOWN_MS = 5000
/** the session, and a look or two */
const DEATH_SHOWN_MS = 15_000

/** I10: the API answers, says how old its data are, and does not show the dead as living. */
export function judgeApi(e: Evidence): Finding[] {
  const finding = createFinding('I10', 'the API answers, and shows nothing false for longer than it says')
  if (e.answers === null) {
    finding.note('the API was not polled')
    return [finding.done()]
  }
  for (const [path, answers] of Map.groupBy(e.answers, (a) => a.path)) {
    let badSince: number | null = null
    for (const answer of answers) {
      finding.look()
      const bad = answer.status === 0 || answer.status >= 500
      if (!bad || isExcused(e, answer)) badSince = null
      else badSince ??= answer.at
      if (badSince !== null && answer.at - badSince > DOWN_MS) {
        finding.violated(
          `GET ${path} has answered ${answer.status || 'nothing'} for more than ${DOWN_MS / 1000} s, at ${new Date(answer.at).toISOString()}`,
        )
        badSince = answer.at
      }
      for (const [section, age] of Object.entries(answer.ages))
        if (age > FRESH_S)
          finding.violated(`GET ${path}: ${section} calls itself ok and is ${age.toFixed(1)} s old`)
      judgeLiving(e, answer, (what) => finding.violated(what))
    }
  }
  return [finding.done()]
}

/** While the monitor or the database is struck, and a little after, no answer is no fault of the monitor's. */
function isExcused(e: Evidence, { at }: Answer): boolean {
  return e.faults.some(
    (f) =>
      /^(monitor|postgres|database|backend|network|disk|load|mix|all-)/.test(f.kind) &&
      at >= f.at &&
      at <= (f.ended ?? Infinity) + 15_000,
  )
}

function judgeLiving(e: Evidence, answer: Answer, violated: (what: string) => void): void {
  for (const { id, status } of answer.consumers) {
    if (status !== 'active') continue
    const struck = e.faults.find(
      (f) =>
        /^consumer\.(kill|freeze)$/.test(f.kind) &&
        f.target === id &&
        answer.at > f.at + DEATH_SHOWN_MS &&
        answer.at < (f.ended ?? f.at),
    )
    if (struck)
      violated(
        `GET ${answer.path} showed ${id} active ${Math.round((answer.at - struck.at) / 1000)} s after ${struck.kind}`,
      )
  }
}
