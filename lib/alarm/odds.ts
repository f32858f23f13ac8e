/**
 * The most that anybody can find of faults that are a single reading, `size` deviations of the noise off, at so many
 * false alarms a day of a sensor with so many readings a day.
 *
 * A healthy reading is off by as much now and then: a detector that keeps to its false alarms must ask of each reading
 * for z deviations, where 2 · (1 − Φ(z)) = false alarms a reading. Of bell-shaped noise no test does better (Neyman and
 * Pearson, 1933), not even one that knows the true level and spends all false alarms on single readings. A faulty reading
 * has noise of its own, so it gets there with probability Φ(size − z) + Φ(−size − z).
 */
export function mostFound(size: number, falseADay: number, readingsADay: number): number {
  const z = barFor(falseADay / readingsADay)
  return below(Math.abs(size) - z) + below(-Math.abs(size) - z)
}

/** The deviations that healthy noise exceeds, on either side, with this probability. */
export function barFor(probability: number): number {
  let low = 0
  let high = 8
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2
    if (2 * below(-middle) > probability) low = middle
    else high = middle
  }
  return low
}

/** Φ, the share of a standard normal below z, by its series (Marsaglia, 2004); to ten digits and more for |z| ≤ 8. */
function below(z: number): number {
  if (Math.abs(z) > 8) return z > 0 ? 1 : 0
  let term = z
  let sum = z
  for (let k = 3; Math.abs(term) > 1e-18 && k < 400; k += 2) sum += term *= (z * z) / k
  return Math.max(0, 0.5 + (sum * Math.exp((-z * z) / 2)) / Math.sqrt(2 * Math.PI))
}
