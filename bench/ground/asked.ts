import { sleep } from '../../lib/run.ts'

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
  const at = (share: number) => Number(atShare(sorted, share).toFixed(1))
  return { ms_p50: at(0.5), ms_p95: at(0.95), ms_p99: at(0.99), ms_max: at(1) }
}

/** The number that so many of these, in order, lie below; NaN of none. */
export function atShare(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN
}

/** Throws where it is not so within the bound. */
export async function until(what: string, is: () => Promise<boolean>, boundMs = 90_000): Promise<void> {
  const deadline = performance.now() + boundMs
  while (!(await is())) {
    if (performance.now() > deadline) throw new Error(`Cannot see ${what} within ${boundMs / 1000} s`)
    await sleep(100)
  }
}

/** Most sensors have come to the monitor; a few may be silent just now: that is one of the plant's faults. */
export function untilSensors(base: string, count: number): Promise<void> {
  return until('19 of 20 sensors at the monitor', async () => {
    const answer = await fetch(`${base}/api/sensors?limit=1`).catch(() => null)
    return answer?.ok === true && ((await answer.json()) as { total: number }).total >= 0.95 * count
  })
}

/** Reads a whole answer, and throws at one that is not a success. */
export async function get(url: string): Promise<void> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) })
  await answer.arrayBuffer()
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`)
}
