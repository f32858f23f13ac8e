import { oneIn } from '../detect/explain.ts'
import type { Verdict } from '../detect/detector.ts'
import { formatMicros } from '../time.ts'
import type { Recent, Source } from './alarm.ts'
import type { BoundRule } from './bind.ts'
import type { Rule } from './rulebook.ts'

/** What an alarm says for itself, the same for every kind of rule: column `why`. */
export interface Explained {
  rule: Rule
  version: number
  verdict: Pick<Verdict, 'part' | 'expected' | 'low' | 'high' | 'rarity' | 'reasons'>
  /** the verdict in words */
  said: string
  /** in force for the sensor, by rule */
  limits: Record<string, unknown>
  /** the last values before it, newest last */
  recent: Recent
  source: Source
}

export function whyOf({
  rule,
  version,
  verdict,
  said,
  limits,
  recent,
  source,
}: Explained): Record<string, unknown> {
  const { part, expected, low, high, rarity, reasons } = verdict
  return {
    part,
    rule: { id: rule.id, version, kind: rule.kind, title: rule.title },
    explanation: said,
    consequence: rule.consequence,
    response: rule.response,
    expected,
    low,
    high,
    rarity,
    rare: rarity !== null && rarity > 0 ? oneIn(rarity) : null,
    reasons,
    limits,
    recent: recent.map((r) => ({ at: formatMicros(r.at), value: r.value })),
    source,
    // late data raise nothing
    live: true,
  }
}

/** The limits among the rules for a sensor. */
export function limitsInForce(inForce: readonly BoundRule[]): Record<string, unknown> {
  const limits: Record<string, unknown> = {}
  for (const { rule } of inForce)
    if (rule.kind === 'limit')
      limits[rule.id] = { side: rule.side, limit: rule.limit, deadband: rule.deadband, level: rule.level }
    else if (rule.kind === 'physical') limits[rule.id] = { low: rule.low, high: rule.high }
  return limits
}
