import { adaptive, DEFAULT_ADAPTIVE_RULE } from './adaptive.ts'
import { baseline, DEFAULT_BASELINE_RULE } from './baseline.ts'
import { IGNORED, type Detector, type Sample, type Verdict } from './detector.ts'
import { DEFAULT_ENERGY_RULE, energy } from './energy.ts'
import { DEFAULT_QUALITY_RULE, quality } from './quality.ts'
import { DEFAULT_SILENCE_RULE, silence, type SilenceState } from './silence.ts'
import { DEFAULT_VIBRATION_RULE, vibration } from './vibration.ts'

/**
 * All learning detectors of one sensor as one state with one encoding: what the consumer keeps beside the limits. Which
 * of them watch a sensor follows from its type.
 */
export const DEFAULT_RULES = {
  adaptive: DEFAULT_ADAPTIVE_RULE,
  baseline: DEFAULT_BASELINE_RULE,
  quality: DEFAULT_QUALITY_RULE,
  silence: DEFAULT_SILENCE_RULE,
  vibration: DEFAULT_VIBRATION_RULE,
  energy: DEFAULT_ENERGY_RULE,
}
export type Rules = typeof DEFAULT_RULES
export type DetectorName = keyof Rules

/** The place of a name here is its number in the encoding: add at the end, never reorder. */
const NAMES: readonly DetectorName[] = ['adaptive', 'baseline', 'quality', 'silence', 'vibration', 'energy']
const DETECTORS: { [N in DetectorName]: Detector<unknown, Rules[N]> } = {
  adaptive: forget(adaptive),
  baseline: forget(baseline),
  quality: forget(quality),
  silence: forget(silence),
  vibration: forget(vibration),
  energy: forget(energy),
}
const EVERY: readonly DetectorName[] = ['adaptive', 'baseline', 'quality', 'silence']
const HEADER = 4 // number, version, length as 16 bits

export interface Watch {
  readonly names: readonly DetectorName[]
  readonly states: unknown[]
}

export function detectorsFor(sensorType: string): readonly DetectorName[] {
  return sensorType === 'vibration' || sensorType === 'energy' ? [...EVERY, sensorType] : EVERY
}

export function createWatch(sensorType: string): Watch {
  const names = detectorsFor(sensorType)
  return { names, states: names.map((name) => DETECTORS[name].create()) }
}

/** One live reading, one verdict a detector, in the order of `watch.names`; IGNORED by all if it is not newer than the last. */
export function stepWatch(
  watch: Watch,
  sample: Sample,
  rules: Rules,
  visit: (name: DetectorName, verdict: Verdict) => void,
): void {
  for (let i = 0; i < watch.names.length; i++) {
    const name = watch.names[i]!
    const verdict = stepOne(name, watch.states[i], sample, rules)
    if (verdict !== IGNORED) visit(name, verdict)
  }
}

/** For silentFrom() and silenceOf(). */
export function silenceState(watch: Watch): SilenceState | null {
  const i = watch.names.indexOf('silence')
  return i < 0 ? null : (watch.states[i] as SilenceState)
}

/** Forgets what one detector learnt ("accept as new normal", re-baseline after maintenance). */
export function relearn(watch: Watch, name: DetectorName): void {
  const i = watch.names.indexOf(name)
  if (i >= 0) watch.states[i] = DETECTORS[name].create()
}

export function encodeWatch({ names, states }: Watch): Uint8Array {
  const parts = names.map((name, i) => DETECTORS[name].encode(states[i]))
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + HEADER + part.length, 0))
  let at = 0
  parts.forEach((part, i) => {
    const name = names[i]!
    bytes.set([NAMES.indexOf(name), DETECTORS[name].version, part.length & 255, part.length >> 8], at)
    bytes.set(part, at + HEADER)
    at += HEADER + part.length
  })
  return bytes
}

/** Continues what can be continued; `relearns` names the detectors that start anew (new ones, or of another version). */
export function decodeWatch(
  bytes: Uint8Array,
  sensorType: string,
): { watch: Watch; relearns: DetectorName[] } {
  const known = new Map<DetectorName, unknown>()
  for (let at = 0; at + HEADER <= bytes.length;) {
    const name = NAMES[bytes[at]!]
    const length = bytes[at + 2]! | (bytes[at + 3]! << 8)
    const state = name
      ? DETECTORS[name].decode(bytes.slice(at + HEADER, at + HEADER + length), bytes[at + 1]!)
      : null
    if (name && state !== null) known.set(name, state)
    at += HEADER + length
  }
  const names = detectorsFor(sensorType)
  return {
    watch: { names, states: names.map((name) => known.get(name) ?? DETECTORS[name].create()) },
    relearns: names.filter((name) => !known.has(name)),
  }
}

function stepOne<N extends DetectorName>(name: N, state: unknown, sample: Sample, rules: Rules): Verdict {
  return DETECTORS[name].step(state, sample, rules[name])
}

/** A detector whose state is only ever handed back to itself. */
function forget<State, Rule>(d: Detector<State, Rule>): Detector<unknown, Rule> {
  return {
    name: d.name,
    version: d.version,
    create: d.create,
    step: (state, sample, rule) => d.step(state as State, sample, rule),
    encode: (state) => d.encode(state as State),
    decode: d.decode,
  }
}
