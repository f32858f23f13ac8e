/**
 * One panel's data with its own age and its own fault: a dead dependency never blanks the others. `ok`: the newest
 * attempt answered in time; `stale`: nothing newer than the limit; `error`: the newest attempt failed. `data` is the
 * last good answer in all three; null before the first.
 */
export interface Section<T> {
  readonly status: 'ok' | 'stale' | 'error'
  readonly as_of: string | null
  readonly error: SectionError | null
  readonly data: T | null
}

/** Nothing was asked, and nothing is wrong. */
export function absent<T>(): Section<T> {
  return { status: 'ok', as_of: null, error: null, data: null }
}

export interface SectionError {
  readonly title: string
  readonly detail: string
  readonly since: string
}

export interface Source<T> {
  /** asks once; resolves when the answer or the fault is recorded, never rejects */
  refresh(): Promise<void>
  /** asks anew even where a question is under way, which may not have seen what has just changed */
  renew(): Promise<void>
  /** asks only for what has changed, to be put into the last answer; without one asks for everything */
  amend(change: (before: T) => Promise<T>): Promise<void>
  /** records a fault without asking: what it depends on is known to be away */
  fail(detail: string): void
  /** as of `now` */
  read(now: number): Section<T>
}

/** `staleAfterMs`: twice the usual distance of two refreshes is a fair value. */
export function createSource<T>(
  title: string,
  answer: () => Promise<T>,
  staleAfterMs: number,
  clock: () => number = Date.now,
): Source<T> {
  let data: T | null = null
  let asOf: number | null = null
  let fault: { detail: string; since: number } | null = null
  let running: Promise<void> | null = null

  const once = async (question: () => Promise<T>) => {
    try {
      data = await question()
      asOf = clock()
      fault = null
    } catch (error) {
      const detail = faultText(error)
      fault = { detail, since: fault?.since ?? clock() }
    } finally {
      running = null
    }
  }
  const refresh = () => (running ??= once(answer))
  return {
    refresh,
    renew: () => (running === null ? refresh() : running.then(refresh)),
    async amend(change) {
      while (running !== null) await running // its answer may be from before the change
      const before = data
      await (running = once(before === null ? answer : () => change(before)))
    },
    fail(detail) {
      fault = { detail, since: fault?.since ?? clock() }
    },
    read(now) {
      const stale = asOf === null || now - asOf > staleAfterMs
      return {
        status: fault ? 'error' : stale ? 'stale' : 'ok',
        as_of: asOf === null ? null : new Date(asOf).toISOString(),
        error: fault && { title, detail: fault.detail, since: new Date(fault.since).toISOString() },
        data,
      }
    },
  }
}

/** Says which server, not which password: addresses and driver codes only. */
export function faultText(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return faultText(error.errors[0])
  if (!(error instanceof Error)) return 'unknown fault'
  const code = 'code' in error && typeof error.code === 'string' ? ` (${error.code})` : ''
  const text = error.message.replace(/\/\/[^\s/@]+@/g, '//***@').slice(0, 300)
  return text.includes(code.trim()) && code !== '' ? text : `${text}${code}`
}

/** The worst of several parts, for an answer made of them. */
export function worst(...sections: Section<unknown>[]): Pick<Section<unknown>, 'status' | 'as_of' | 'error'> {
  const rank = { ok: 0, stale: 1, error: 2 }
  const bad = sections.reduce((a, b) => (rank[b.status] > rank[a.status] ? b : a))
  const oldest = sections
    .map((s) => s.as_of)
    .reduce((a, b) => (a === null || b === null ? null : a < b ? a : b))
  return { status: bad.status, as_of: oldest, error: bad.error }
}
