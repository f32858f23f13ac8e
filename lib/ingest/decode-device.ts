import { createReader, Unreadable } from '../avro/reader.ts'
import type { Registry } from '../avro/registry.ts'
import { schemaText } from '../avro/schemas.ts'
import { faultOf, readingsOf, type DeviceMessage } from '../device.ts'
import { Fault, presentIn, type Decoded, type Decoder } from './decode.ts'

/**
 * Bytes of topic sensor.raw → two readings of one device. What a schema's number stands for comes from the registry;
 * while that is away, messages of numbers already known go on, and the others wait.
 */
export function deviceDecoder(registry: Registry): Decoder {
  const reader = createReader<DeviceMessage>(schemaText('SensorReading'), registry)

  function decode(value: Buffer | null): Decoded | Fault {
    const present = presentIn(value)
    if (present instanceof Fault) return present
    const message = reader.read(present)
    if (message instanceof Unreadable) return new Fault(message.reason, message.message)
    const fault = faultOf(message)
    if (fault !== null) return new Fault('schema', fault)
    return { source: message.id, readings: readingsOf(message), unknownFields: 0 }
  }

  return Object.assign(decode, { learn: reader.learn })
}
