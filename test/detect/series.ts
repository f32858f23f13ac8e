import fc from 'fast-check'
import { createRandom } from '../../lib/fleet/random.ts'
import type { Sample } from '../../lib/detect/detector.ts'

/** A recording to order: noise round a daily round, with shifts, spikes, sticking and pauses that the seed places. */
export interface SeriesPlan {
  seed: number
  length: number
  intervalSeconds: number
  decimals: number
  faults: {
    at: number
    kind: 'shift' | 'spike' | 'stick' | 'pause' | 'burst'
    size: number
    length: number
  }[]
}

export const seriesPlan: fc.Arbitrary<SeriesPlan> = fc.record({
  seed: fc.integer({ min: 1, max: 1_000_000 }),
  length: fc.integer({ min: 200, max: 1500 }),
  intervalSeconds: fc.constantFrom(1, 3, 10, 60, 300, 3600),
  decimals: fc.constantFrom(0, 2, 6),
  faults: fc.array(
    fc.record({
      at: fc.integer({ min: 130, max: 1400 }),
      kind: fc.constantFrom('shift', 'spike', 'stick', 'pause', 'burst'),
      size: fc.double({ min: 2, max: 30, noNaN: true }),
      length: fc.integer({ min: 1, max: 80 }),
    }),
    { maxLength: 4 },
  ),
})

export function makeSeries(plan: SeriesPlan): Sample[] {
  const random = createRandom(`series/${plan.seed}`)
  const gauss = () => {
    const u = Math.max(1e-12, random.next())
    return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * random.next())
  }
  let at = 1_763_200_000_000_000
  let stuck: number | null = null
  return Array.from({ length: plan.length }, (_, i) => {
    at += plan.intervalSeconds * 1_000_000
    let value = 20 + 2 * Math.sin((2 * Math.PI * at) / 86_400e6) + gauss()
    let held = false
    for (const f of plan.faults) {
      if (i < f.at || i >= f.at + f.length) continue
      if (f.kind === 'shift') value += f.size
      if (f.kind === 'spike' && i === f.at) value -= f.size
      if (f.kind === 'burst') value += f.size * gauss()
      if (f.kind === 'pause' && i === f.at) at += 40 * plan.intervalSeconds * 1_000_000
      if (f.kind === 'stick') held = true
    }
    const shown = Math.round(value * 10 ** plan.decimals) / 10 ** plan.decimals
    stuck = held ? (stuck ?? shown) : null
    return { at, value: stuck ?? shown, quality: 1 }
  })
}
