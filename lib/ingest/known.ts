import type { Records } from '../kafka/records.ts'
import type { Identity, Reading } from '../reading.ts'
import { FLAG } from './flags.ts'
import type { Form } from './form.ts'
import { learnForm } from './learn.ts'
import type { Mark } from './marks.ts'
import type { Message } from './outputs.ts'
import type { Described, SensorState } from './sensor.ts'

/** The form of a sensor's messages, with everything that is the same for all messages of that form. */
export interface Known {
  form: Form
  sensor: SensorState
  /** what the sensor was described as then: it holds as long as the sensor has this very one */
  described: Described
  /** says all that the form's messages say, but for what stands in the holes */
  like: Reading
  /** null where messages carry none; its number is that of the last one read */
  identity: Identity | null
  mark: Mark | null
  runKey: number | null
  flags: number
  /** JSON text */
  metadata: string | null
  unknownFields: number
  /** messages of this form since it was learnt */
  uses: number
  /** messages of another form before it was of use */
  idle: number
}

/** Found by the message's key, which is the sensor's id; only a guess, because the form itself says who it is. */
export interface Forms {
  of(records: Records): Known | undefined
  /** after a message was stored the long way: its form, for those to come */
  learn(
    message: Message,
    reading: Reading,
    identity: Identity | null,
    sensor: SensorState,
    mark: Mark | null,
    runKey: number | null,
    unknownFields: number,
  ): void
  clear(): void
}

/** A form that was never of use is learnt anew with every so many messages: some sensors have none. */
const PATIENCE = 16

export function createForms(): Forms {
  const forms = new Map<number, Known>()
  return {
    of: ({ bytes, keyFrom, keyTo }) => forms.get(hash(bytes, keyFrom, keyTo)),
    learn(message, reading, identity, sensor, mark, runKey, unknownFields) {
      const { key, value, headerBytes } = message
      if (!key || !value || !headerBytes) return
      const place = hash(key, 0, key.length)
      const before = forms.get(place)
      if (before && before.uses === 0 && ++before.idle < PATIENCE) return
      // another key than the sensor's id: there is no end of those
      if (key.toString('latin1') !== reading.sensorId) return
      const form = learnForm(value, headerBytes, reading, identity)
      if (!form) return
      forms.set(place, {
        form,
        sensor,
        described: sensor.described,
        like: reading,
        identity: identity && { ...identity },
        mark,
        runKey,
        flags: reading.metadata?.history === true ? FLAG.history : 0,
        metadata: reading.metadata && JSON.stringify(reading.metadata),
        unknownFields,
        uses: 0,
        idle: 0,
      })
    },
    clear: () => forms.clear(),
  }
}

/** FNV-1a, 32 bits. */
function hash(bytes: Uint8Array, from: number, to: number): number {
  let h = 0x811c9dc5
  for (let at = from; at < to; at++) h = Math.imul(h ^ (bytes[at] as number), 0x01000193)
  return h
}
