/**
 * Rates from counters that only rise, so that nobody has to be believed: the difference over the last `windowMs`. A
 * counter that falls (a new run, a re-created topic) starts afresh. One with a single observation has no rate yet: null,
 * not 0.
 */
export interface Rates {
  observe(key: string, count: number, at: number): void
  /** per second; null while unknown */
  perSecond(key: string, now: number): number | null
  /** forgets what was not observed since `before` */
  forget(before: number): void
}

export function createRates(windowMs = 5000): Rates {
  const seen = new Map<string, { count: number; at: number }[]>()
  return {
    observe(key, count, at) {
      const points = seen.get(key)
      const last = points?.at(-1)
      if (!points || !last || count < last.count) {
        seen.set(key, [{ count, at }])
        return
      }
      if (at <= last.at) return
      points.push({ count, at })
      // One point older than the window stays: the rate is over the window, not over its inner points.
      while (points.length > 2 && (points[1]?.at ?? at) <= at - windowMs) points.shift()
    },
    perSecond(key, now) {
      const points = seen.get(key)
      const first = points?.[0]
      const last = points?.at(-1)
      if (!first || !last || first === last) return null
      // Without a new observation the span grows and the rate falls: silence is not a steady flow.
      const spanMs = Math.max(now, last.at) - first.at
      return spanMs <= 0 ? null : ((last.count - first.count) / spanMs) * 1000
    },
    forget(before) {
      for (const [key, points] of seen) if ((points.at(-1)?.at ?? 0) < before) seen.delete(key)
    },
  }
}
