import type { Rates } from './rates.ts'
import type { Consumer, Flow, FlowPoint, Partition, Producer } from './snapshot.ts'

/** What flows from sensor to table at this moment, and did in the last ten minutes. */
export interface FlowTracker {
  view(input: {
    consumers: readonly Consumer[]
    producers: readonly Producer[]
    partitions: readonly Partition[]
    rates: Rates
    now: number
  }): Flow
  /** a past that another process saw, oldest first */
  seed(points: readonly FlowPoint[]): void
}

const STEP_MS = 5000
const POINTS = 120

export function createFlowTracker(): FlowTracker {
  const history: FlowPoint[] = []
  return {
    view({ consumers, producers, partitions, rates, now }) {
      const working = consumers.filter((c) => c.status === 'active')
      const lags = partitions.map((p) => p.lag)
      const stored = sum(partitions.map((p) => p.messages_per_second))
      const flow = {
        accepted_per_second: sum(
          producers.map((p) => rates.perSecond(`accepted ${p.producer_id} ${p.run_id}`, now)),
        ),
        produced_per_second: sum(producers.map((p) => p.messages_per_second)),
        appended_per_second: sum(
          partitions.map((p) => rates.perSecond(`end ${p.topic}-${p.partition}`, now)),
        ),
        stored_per_second: stored,
        spooled: producers.reduce((total, p) => total + p.spooled, 0),
        lag: lags.includes(null) ? null : sum(lags),
        lag_seconds: largest(partitions.map((p) => p.lag_seconds)),
        end_to_end_ms_p50: median(working.map((c) => c.end_to_end_ms_p50)),
        end_to_end_ms_p99: largest(working.map((c) => c.end_to_end_ms_p99)),
      }
      const last = history.at(-1)
      if (stored !== null && (!last || now - Date.parse(last.at) >= STEP_MS)) {
        const { produced_per_second, stored_per_second, lag, end_to_end_ms_p99 } = flow
        history.push({
          at: new Date(now).toISOString(),
          produced_per_second,
          stored_per_second,
          lag,
          end_to_end_ms_p99,
        })
        if (history.length > POINTS) history.shift()
      }
      return { ...flow, history: history.slice() }
    },
    seed(points) {
      history.unshift(...points.slice(-POINTS))
    },
  }
}

/** null counts as nothing known; the sum of only unknowns is unknown */
function sum(values: readonly (number | null)[]): number | null {
  const known = values.filter((v) => v !== null)
  return known.length === 0 ? null : known.reduce((a, b) => a + b, 0)
}

function largest(values: readonly (number | null)[]): number | null {
  const known = values.filter((v) => v !== null)
  return known.length === 0 ? null : Math.max(...known)
}

function median(values: readonly (number | null)[]): number | null {
  const known = values.filter((v) => v !== null).sort((a, b) => a - b)
  return known[Math.floor((known.length - 1) / 2)] ?? null
}
