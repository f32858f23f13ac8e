import type { Measured } from '../../lib/fleet/fleet.ts'
import { encodeFactoryMessage, type Reading } from '../../lib/reading.ts'

/** The n-th reading of a sensor; `padding` makes the message so many bytes longer. */
export function measured(
  sensorId: string,
  n: number,
  options: { topic?: string; padding?: number } = {},
): Measured {
  const reading: Reading = {
    sensorId,
    sensorType: 'temperature',
    unit: '°C',
    location: { factorySection: 'production', machineId: 'machine-001', zone: 'zone-a' },
    measuredAt: 1_790_000_000_000_000 + n,
    value: n,
    quality: 1,
    claimedLevel: 'normal',
    warningThreshold: 35,
    criticalThreshold: 40,
    metadata: options.padding ? { note: 'x'.repeat(options.padding) } : null,
  }
  return {
    topic: options.topic ?? 'sensor-data',
    key: sensorId,
    reading,
    encode: (id) => encodeFactoryMessage(reading, id),
  }
}

/** `count` readings, turn by turn from so many sensors. */
export function measuredMany(
  count: number,
  sensors: number,
  options: { topic?: string; padding?: number; from?: number } = {},
): Measured[] {
  const from = options.from ?? 0
  return Array.from({ length: count }, (_, i) =>
    measured(`sensor-${(from + i) % sensors}`, from + i, options),
  )
}
