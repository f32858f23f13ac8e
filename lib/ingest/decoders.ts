import { createRegistry } from '../avro/registry.ts'
import type { Config } from '../config.ts'
import { DEVICE_TOPIC } from '../device.ts'
import { deviceDecoder } from './decode-device.ts'
import { decodeHeartbeat, decodeLine } from './decode-line.ts'
import { decodeFactory, type Decoder } from './decode.ts'

/** The topics that carry readings, of the fleets in force, and how each topic's messages are read. */
export function decodersOf(config: Config): Map<string, Decoder> {
  const decoders = new Map<string, Decoder>([[config.SENSOR_TOPIC, decodeFactory]])
  if (config.FLEET === 'iot' || config.FLEET === 'all') {
    decoders.set(DEVICE_TOPIC, deviceDecoder(createRegistry(config.SCHEMA_REGISTRY_URL)))
  }
  if (config.FLEET === 'soda' || config.FLEET === 'all') {
    decoders.set(config.SODA_TOPIC, decodeLine)
    decoders.set(config.SODA_HEARTBEAT_TOPIC, decodeHeartbeat)
  }
  return decoders
}
