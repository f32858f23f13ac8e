import { adaptive, DEFAULT_ADAPTIVE_RULE } from '../lib/detect/adaptive.ts'
import { baseline, DEFAULT_BASELINE_RULE } from '../lib/detect/baseline.ts'
import type { Detector } from '../lib/detect/detector.ts'
import { energy, DEFAULT_ENERGY_RULE } from '../lib/detect/energy.ts'
import { quality, DEFAULT_QUALITY_RULE } from '../lib/detect/quality.ts'
import { silence, DEFAULT_SILENCE_RULE } from '../lib/detect/silence.ts'
import { vibration, DEFAULT_VIBRATION_RULE } from '../lib/detect/vibration.ts'
import { flagsOf } from '../lib/run.ts'
import { showTable } from './ground/table.ts'
import { machine } from './machine.ts'

const HELP = `bun run bench detect: what each detector costs: processor time a reading (of this process, so neighbours on the machine
don't count) and bytes of state a sensor. 200 sensors take turns, 2,000 readings each a round; the best of five rounds.

  --help          this text`

flagsOf(HELP, {})
const SENSORS = 200
const READINGS = 2000
const ROUNDS = 5

const values = Float64Array.from({ length: SENSORS * READINGS }, (_, i) => {
  const n = Math.floor(i / SENSORS)
  return 25 + 3 * Math.sin(n / 300) + noise(i) + (n % 700 > 690 ? 5 : 0)
})

const before = machine()
const figures = [
  measure(adaptive, DEFAULT_ADAPTIVE_RULE),
  measure(baseline, DEFAULT_BASELINE_RULE),
  measure(quality, DEFAULT_QUALITY_RULE),
  measure(silence, DEFAULT_SILENCE_RULE),
  measure(vibration, DEFAULT_VIBRATION_RULE),
  measure(energy, DEFAULT_ENERGY_RULE),
]
const settings = { sensors: SENSORS, rounds: ROUNDS, readings_a_round: SENSORS * READINGS }
showTable(figures)
console.log(JSON.stringify({ bench: 'detect', figures, settings, machine: before }, null, 2))

function measure<State, Rule>(detector: Detector<State, Rule>, rule: Rule) {
  const states = Array.from({ length: SENSORS }, () => detector.create())
  let best = Infinity
  let alarms = 0
  for (let round = 0; round < ROUNDS; round++) {
    const started = process.cpuUsage()
    for (let n = 0; n < READINGS; n++) {
      const at = 1.7e15 + (round * READINGS + n) * 3e6
      for (let s = 0; s < SENSORS; s++) {
        const sample = { at, value: values[n * SENSORS + s]!, quality: 1 }
        if (detector.step(states[s]!, sample, rule).score >= 0.5) alarms++
      }
    }
    const { user, system } = process.cpuUsage(started)
    best = Math.min(best, (1000 * (user + system)) / (SENSORS * READINGS))
  }
  return {
    detector: detector.name,
    ns_a_reading: Math.round(best),
    bytes_a_sensor: detector.encode(states[0]!).length,
    alarms,
  }
}

/** Sum of four uniform numbers from a 32-bit mix of the index: the same on every machine. */
function noise(i: number): number {
  let sum = -2
  for (let k = 0; k < 4; k++) {
    let x = Math.imul(i * 4 + k + 1, 0x9e3779b1)
    x = Math.imul(x ^ (x >>> 15), 0x85ebca6b)
    x ^= x >>> 13
    sum += (x >>> 0) / 2 ** 32
  }
  return sum
}
