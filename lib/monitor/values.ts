import type { MakeGauge, Write } from './metrics.ts'

/** Base units, as Prometheus has them. */
const QUANTITIES: Record<string, { name: string; help: string; factor: number }> = {
  temperature: { name: 'factory_temperature_celsius', help: 'Temperature', factor: 1 },
  vibration: { name: 'factory_vibration_meters_per_second', help: 'Vibration velocity', factor: 1e-3 },
  energy: { name: 'factory_power_watts', help: 'Electric power', factor: 1e3 },
  humidity: { name: 'factory_humidity_ratio', help: 'Relative humidity', factor: 0.01 },
  pressure: { name: 'factory_pressure_pascals', help: 'Air pressure', factor: 100 },
}

/** The newest values of a topic's sensors together: one sensor each would be thousands of series. */
export function valueSeries(gauge: MakeGauge): Write {
  const series = Object.entries(QUANTITIES).map(([type, { name, help, factor }]) => {
    const set = gauge(name, `${help}, newest values of all sensors`, ['topic', 'aggregate'])
    return { type, factor, set }
  })
  return (s) => {
    for (const { type, factor, set } of series) {
      const ofType = (s.sensors.data ?? []).filter((x) => x.sensor_type === type && !x.silent)
      for (const [topic, sensors] of Map.groupBy(ofType, (x) => x.topic)) {
        const values = sensors.map((x) => x.value * factor)
        set({ topic, aggregate: 'min' }, Math.min(...values))
        set({ topic, aggregate: 'mean' }, values.reduce((sum, v) => sum + v, 0) / values.length)
        set({ topic, aggregate: 'max' }, Math.max(...values))
      }
    }
  }
}
