/** How long answers take, as one client sees it. */
export interface Took {
  ms_p50: number
  ms_p95: number
  ms_p99: number
  ms_max: number
}

/** One after the other. */
export async function times(count: number, act: () => Promise<unknown>): Promise<Took> {
  const took: number[] = []
  for (let i = 0; i < count; i++) {
    const at = performance.now()
    await act()
    took.push(performance.now() - at)
  }
  return summary(took)
}

export function summary(took: readonly number[]): Took {
  const sorted = took.toSorted((a, b) => a - b)
  const at = (share: number) =>
    Number((sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN).toFixed(1))
  return { ms_p50: at(0.5), ms_p95: at(0.95), ms_p99: at(0.99), ms_max: at(1) }
}

/** Reads a whole answer, and throws at one that is not a success. */
export async function get(url: string): Promise<void> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) })
  await answer.arrayBuffer()
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`)
}
