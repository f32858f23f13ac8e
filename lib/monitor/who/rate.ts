export interface RateOptions {
  perSecond: number
  burst: number
  clock?: () => number
}

/** Beyond this many addresses the one that was quiet for longest is forgotten: memory stays bounded. */
const MOST_CLIENTS = 10_000

/** Token buckets, one a client: `burst` at once, refilled at `perSecond`. */
export function createBuckets(options: RateOptions): (client: string) => boolean {
  const clock = options.clock ?? Date.now
  const buckets = new Map<string, { left: number; at: number }>()
  return (client) => {
    const now = clock()
    const known = buckets.get(client)
    const left = known
      ? Math.min(options.burst, known.left + ((now - known.at) / 1000) * options.perSecond)
      : options.burst
    buckets.delete(client)
    buckets.set(client, { left: left < 1 ? left : left - 1, at: now })
    if (buckets.size > MOST_CLIENTS) {
      const oldest = buckets.keys().next()
      if (!oldest.done) buckets.delete(oldest.value)
    }
    return left >= 1
  }
}
