import { adaptive } from '../detect/adaptive.ts'
import { baseline } from '../detect/baseline.ts'
import { change } from '../detect/change.ts'
import type { Part } from '../detect/desk.ts'
import type { Detector, Sample, Verdict } from '../detect/detector.ts'
import type { Layout } from '../detect/layout.ts'
import { deviation } from '../detect/deviation.ts'
import { energy, type EnergyRule } from '../detect/energy.ts'
import { limits, type LimitRule } from '../detect/limits.ts'
import { physical } from '../detect/physical.ts'
import { quality } from '../detect/quality.ts'
import { silence, type SilenceRule, type SilenceState } from '../detect/silence.ts'
import { vibration } from '../detect/vibration.ts'
import type { RuleOf, SensorRule } from './rulebook.ts'

/** A rule with its detector and the detector's parameters, the type of its state forgotten. */
export interface BoundRule {
  readonly rule: SensorRule
  /** of the book that it stands in */
  readonly version: number
  /** it learns what is normal: a value that cannot be teaches it nothing */
  readonly learns: boolean
  readonly part: Part
  step(state: object, sample: Sample): Verdict
}

export function bind(rule: SensorRule, version: number): BoundRule {
  switch (rule.kind) {
    case 'limit':
      return bound(rule, version, limits, limitOf(rule), false)
    case 'consecutive':
      return bound(rule, version, limits, consecutiveOf(rule), false)
    case 'physical':
      return bound(rule, version, physical, rule, false)
    case 'rapid_change':
      return bound(rule, version, change, rule, true)
    case 'deviation':
      return bound(rule, version, deviation, rule, true)
    case 'adaptive':
      return bound(
        rule,
        version,
        adaptive,
        { threshold: rule.threshold, utcOffsetMinutes: rule.utc_offset_minutes },
        true,
      )
    case 'baseline':
      return bound(
        rule,
        version,
        baseline,
        { threshold: rule.threshold, slowestMicros: rule.slowest * 1e6 },
        true,
      )
    case 'quality':
      return bound(
        rule,
        version,
        quality,
        { decades: rule.decades, leastReadings: rule.least_readings },
        true,
      )
    case 'vibration':
      return bound(
        rule,
        version,
        vibration,
        { machineClass: rule.machine_class, horizonMicros: rule.horizon * 1e6 },
        true,
      )
    case 'energy':
      return bound(rule, version, energy, energyOf(rule), true)
    case 'silence':
      return bound(rule, version, silence, silenceOf(rule), false)
  }
}

export function limitOf(rule: RuleOf<'limit'>): LimitRule {
  const { side, limit, exclusive, deadband, on_delay: on, off_delay: off } = rule
  return { side, limit, exclusive, deadband, on, off }
}

export function energyOf(rule: RuleOf<'energy'>): EnergyRule {
  return {
    threshold: rule.threshold,
    leastShare: rule.least_share,
    pricePerKwh: rule.price_per_kwh,
    utcOffsetMinutes: rule.utc_offset_minutes,
  }
}

/** So many readings in a row at or beyond the limit: a limit with an on-delay that is never less than two. */
function consecutiveOf({ side, limit, deadband, readings }: RuleOf<'consecutive'>): LimitRule {
  return {
    side,
    limit,
    deadband,
    exclusive: false,
    on: { readings, micros: 0 },
    off: { readings: 2, micros: 0 },
  }
}

export function silenceOf(rule: RuleOf<'silence'>): SilenceRule {
  return {
    intervals: rule.intervals,
    leastMicros: rule.least * 1e6,
    settleReadings: rule.settle_readings,
  }
}

/** The rhythm that a silence rule has learnt of a sensor; null for the state of another rule. */
export function rhythmOf(rule: BoundRule, state: object | null): SilenceState | null {
  return rule.rule.kind === 'silence' && state !== null ? (state as SilenceState) : null
}

function bound<State extends object, Parameters>(
  rule: SensorRule,
  version: number,
  detector: Detector<State, Parameters>,
  parameters: Parameters,
  learns: boolean,
): BoundRule {
  return {
    rule,
    version,
    learns,
    // A state is only ever given back to the rule that made it: they are kept by rule and detector.
    step: (state, sample) => detector.step(state as State, sample, parameters),
    part: {
      ruleId: rule.id,
      detector: detector.name,
      version: detector.version,
      layout: detector.layout as Layout<object>,
      encode: (state) => detector.encode(state as State),
      decode: (bytes, was) => detector.decode(bytes, was),
    },
  }
}
