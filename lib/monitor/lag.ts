/**
 * A verdict on one partition without any threshold on the number of messages, after Burrow (linkedin/Burrow v1.9.5,
 * core/internal/evaluator/caching.go), numbered rules in this order:
 *
 *   0  too few observations                                               → OK (completeness is reported)
 *   1  nothing is waiting                                                 → OK
 *   2  the last commit is longer ago than all observed commits span,
 *      and the partition was not empty a moment ago                       → STOP: commits have ceased
 *   3  an offset went back and has not been reached again                 → REWIND
 *   4  nothing was waiting at some moment of the window                   → OK
 *   5  commits come, and the offset is the same in all of them            → STALL
 *   6  the lag never shrank from one observation to the next              → WARN: moves, but falls behind
 *   7  otherwise                                                          → OK
 */
export type LagVerdict = 'OK' | 'WARN' | 'STALL' | 'STOP' | 'REWIND'

export interface Commit {
  /** next offset to be stored */
  offset: number
  /** when it was committed, milliseconds */
  at: number
  /** messages waiting when it was seen; null where the end was unknown (skipped, never read as 0) */
  lag: number | null
}

export interface LagWindow {
  /** oldest first */
  commits: readonly Commit[]
  /** end offsets of the log seen lately, oldest first */
  ends: readonly EndSeen[]
  /** commits in a full window */
  size: number
}

export interface EndSeen {
  offset: number
  at: number
}

/** Below this share of a full window nothing is judged: with one commit the window has no length and rule 2 would cry at once. */
const MINIMUM_COMPLETE = 0.25

export function lagVerdict(
  window: LagWindow,
  now: number,
): { verdict: LagVerdict; rule: number; complete: number } {
  const { commits, ends } = window
  const complete = Math.min(1, commits.length / window.size)
  const say = (verdict: LagVerdict, rule: number) => ({ verdict, rule, complete })
  const first = commits[0]
  const last = commits.at(-1)
  const end = ends.at(-1)
  if (!first || !last || !end || commits.length < 2 || complete < MINIMUM_COMPLETE) return say('OK', 0)
  if (end.offset <= last.offset) return say('OK', 1)
  const wasEmptyLately = ends.some((e) => e.offset <= last.offset)
  if (now - last.at > last.at - first.at && !wasEmptyLately) return say('STOP', 2)
  if (isRewound(commits)) return say('REWIND', 3)
  if (commits.some((c) => c.lag !== null && c.lag <= 0)) return say('OK', 4)
  if (commits.every((c) => c.offset === first.offset)) return say('STALL', 5)
  const lags = commits.map((c) => c.lag).filter((lag) => lag !== null)
  if (lags.length >= 2 && lags.every((lag, i) => i === 0 || lag >= (lags[i - 1] ?? 0))) return say('WARN', 6)
  return say('OK', 7)
}

function isRewound(commits: readonly Commit[]): boolean {
  for (let i = 1; i < commits.length; i++) {
    const before = commits[i - 1]?.offset ?? 0
    if ((commits[i]?.offset ?? 0) < before) return !commits.slice(i).some((c) => c.offset >= before)
  }
  return false
}

/**
 * How long the oldest unread message has been waiting, in seconds: since when the log's end has been beyond
 * `nextOffset`, read from the ends that were seen (linear between two of them). 0 where nothing waits; null where the
 * ends seen do not reach back far enough and `olderThan` says nothing either.
 */
export function lagSeconds(
  ends: readonly EndSeen[],
  nextOffset: number,
  now: number,
  waitingSince: number | null = null,
): number | null {
  const last = ends.at(-1)
  if (!last) return null
  if (last.offset <= nextOffset) return 0
  for (let i = ends.length - 1; i > 0; i--) {
    const later = ends[i]
    const earlier = ends[i - 1]
    if (!later || !earlier) break
    if (earlier.offset <= nextOffset) {
      const share = (nextOffset - earlier.offset) / Math.max(1, later.offset - earlier.offset)
      return Math.max(0, (now - (earlier.at + share * (later.at - earlier.at))) / 1000)
    }
  }
  return waitingSince === null ? null : Math.max(0, (now - waitingSince) / 1000)
}

/** Group verdict: the worst partition; everything that does not move is an error. */
export function groupVerdict(verdicts: readonly LagVerdict[]): 'OK' | 'WARN' | 'ERR' {
  if (verdicts.some((v) => v === 'STOP' || v === 'STALL' || v === 'REWIND')) return 'ERR'
  return verdicts.includes('WARN') ? 'WARN' : 'OK'
}
