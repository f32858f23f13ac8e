import type { Config } from '../config.ts'
import { decodeFactory, type Decoder } from './decode.ts'

/** The topics that carry readings, of the fleets in force, and how each topic's messages are read. */
export function decodersOf(config: Config): Map<string, Decoder> {
  return new Map([[config.SENSOR_TOPIC, decodeFactory]])
}
