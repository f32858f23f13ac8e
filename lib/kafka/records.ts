import type { EachBatchPayload } from 'kafkajs'

/** As kafkajs gives them: an array where a name is repeated; a value may be missing. */
export type Headers = Record<string, HeaderValue | HeaderValue[] | undefined>
type HeaderValue = Buffer | string | null

export interface RawMessage {
  offset: number
  /** when the broker appended it, milliseconds since 1970: the log's own clock */
  appendedAtMs: number
  key: Buffer | null
  value: Buffer | null
  headers: Headers | undefined
  /** the same headers as they came; missing where nobody kept them */
  headerBytes?: Buffer
}

/**
 * What one fetch brought of a partition, as it lies in the bytes of the answer: a cursor that stands on one record at a
 * time and makes no object of it unless asked. Format of a record: KIP-98, "Message Format"; lengths are zigzag varints.
 */
export interface Records {
  /** whether it stands on a record: at first on the first, in the end behind the last */
  readonly standing: boolean
  /** steps on to the next record; throws RangeError where the bytes are none */
  next(): void
  readonly bytes: Buffer
  /** the offset of the record before; at first the one before what was asked for: between them the log has nothing */
  readonly last: number
  /** of the record that it stands on, as are all below */
  readonly offset: number
  /** when the broker appended it (or its producer says so), milliseconds since 1970 */
  readonly appendedAtMs: number
  /** places in `bytes`: the first of it, the first behind it; -1 where there is none */
  readonly keyFrom: number
  readonly keyTo: number
  readonly valueFrom: number
  readonly valueTo: number
  /** the number of headers, then each name and value with their lengths */
  readonly headersFrom: number
  readonly headersTo: number
  /** the record as an object, like those that kafkajs makes */
  message(): RawMessage
}

/** A batch of plain records as our patch of kafkajs hands it over. */
export interface PlainRecords {
  readonly buffer: Buffer
  readonly length: number
  readonly batches: readonly PlainBatch[]
}

interface PlainBatch {
  readonly from: number
  readonly end: number
  readonly count: number
  readonly base: number
  readonly firstTimestamp: number
  /** where the broker stamps: one time for all */
  readonly appendedAt: number | null
}

/** What kafkajs has beside its documented fields: the offset that it had asked for, and with our patch the bytes. */
type Fetched = EachBatchPayload['batch'] & { fetchedOffset?: string; records?: PlainRecords }

/** Plain records stay the bytes that they are; what the library has decoded already is taken as it is. */
export function recordsOf(batch: EachBatchPayload['batch']): Records {
  const { fetchedOffset, records } = batch as Fetched
  const from = Number(fetchedOffset)
  if (records) return walk(records, from)
  return list(
    batch.messages.map((m) => ({
      offset: Number(m.offset),
      appendedAtMs: Number(m.timestamp),
      key: m.key,
      value: m.value,
      headers: m.headers,
    })),
    from,
  )
}

/** `from`: the offset that was asked for. */
export function walk({ buffer, batches }: PlainRecords, from = 0): Records {
  return new Cursor(buffer, batches, from)
}

/** The same for messages that are objects already (of compressed or transactional batches): none of them has bytes. */
export function list(messages: readonly RawMessage[], from = 0): Records {
  return new Listed(messages, from)
}

/** At most so many of the next records, as objects. */
export function messagesOf(records: Records, most: number): RawMessage[] {
  const messages: RawMessage[] = []
  while (messages.length < most && records.standing) {
    messages.push(records.message())
    records.next()
  }
  return messages
}

/** A class, because its fields change with every record: an engine knows where they lie. */
class Cursor implements Records {
  last = -1
  offset = -1
  appendedAtMs = 0
  keyFrom = -1
  keyTo = -1
  valueFrom = -1
  valueTo = -1
  headersFrom = 0
  headersTo = 0
  private at = 0
  private left = 0
  private place = -1
  private batch: PlainBatch | null = null
  standing = true

  constructor(
    readonly bytes: Buffer,
    private readonly batches: PlainRecords['batches'],
    from: number,
  ) {
    this.offset = from - 1
    this.next()
  }

  next(): void {
    this.last = this.offset
    while (this.left === 0) {
      const batch = this.batches[++this.place]
      if (!batch) {
        this.standing = false
        return
      }
      this.batch = batch
      this.left = batch.count
      this.at = batch.from
    }
    this.left--
    const { batch } = this
    if (!batch) return
    const length = this.varint()
    const end = this.at + length
    if (length < 0 || end > batch.end) throw new RangeError('Cannot read a record: it ends behind its batch')
    this.at++ // attributes of a record: none is in use
    const delta = this.varlong()
    this.appendedAtMs = batch.appendedAt ?? batch.firstTimestamp + delta
    this.offset = batch.base + this.varint()
    const keyLength = this.varint()
    this.keyFrom = keyLength < 0 ? -1 : this.at
    this.keyTo = keyLength < 0 ? -1 : (this.at += keyLength)
    const valueLength = this.varint()
    this.valueFrom = valueLength < 0 ? -1 : this.at
    this.valueTo = valueLength < 0 ? -1 : (this.at += valueLength)
    if (this.at > end) throw new RangeError('Cannot read a record: its value ends behind it')
    this.headersFrom = this.at
    this.headersTo = this.at = end
  }

  message(): RawMessage {
    const { bytes, offset, appendedAtMs, keyFrom, keyTo, valueFrom, valueTo } = this
    return {
      offset,
      appendedAtMs,
      key: keyFrom < 0 ? null : bytes.subarray(keyFrom, keyTo),
      value: valueFrom < 0 ? null : bytes.subarray(valueFrom, valueTo),
      headers: this.headers(),
      headerBytes: bytes.subarray(this.headersFrom, this.headersTo),
    }
  }

  private headers(): RawMessage['headers'] {
    // null prototype: a header may be called constructor or __proto__
    const headers: Headers = Object.create(null)
    const after = this.at
    this.at = this.headersFrom
    for (let left = this.varint(); left > 0; left--) {
      const name = this.field()?.toString('utf8') ?? 'null'
      const value = this.field()
      const known = headers[name]
      headers[name] = known === undefined ? value : Array.isArray(known) ? [...known, value] : [known, value]
    }
    this.at = after
    return headers
  }

  private field(): Buffer | null {
    const length = this.varint()
    if (length < 0) return null
    this.at += length
    if (this.at > this.headersTo) throw new RangeError('Cannot read a record: a header ends behind it')
    return this.bytes.subarray(this.at - length, this.at)
  }

  private varint(): number {
    const { bytes } = this
    let at = this.at
    let byte = bytes[at++] as number
    let value = byte & 0x7f
    for (let shift = 7; byte >= 0x80; shift += 7) {
      if (shift > 28) throw new RangeError('Cannot read a record: a number of more than 32 bits')
      byte = bytes[at++] as number
      value |= (byte & 0x7f) << shift
    }
    if (byte === undefined) throw new RangeError('Cannot read a record: the bytes end within it')
    this.at = at
    return (value >>> 1) ^ -(value & 1)
  }

  /** Exact to 53 bits, as times in milliseconds are. */
  private varlong(): number {
    const { bytes } = this
    let value = 0
    let scale = 1
    for (let i = 0; i < 10; i++, scale *= 128) {
      const byte = bytes[this.at++]
      if (byte === undefined) throw new RangeError('Cannot read a record: the bytes end within it')
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
    }
    throw new RangeError('Cannot read a record: a number of more than 64 bits')
  }
}

class Listed implements Records {
  readonly bytes = Buffer.alloc(0)
  readonly keyFrom = 0
  readonly keyTo = 0
  readonly valueFrom = 0
  readonly valueTo = 0
  readonly headersFrom = 0
  readonly headersTo = 0
  private place = 0

  constructor(
    private readonly messages: readonly RawMessage[],
    private readonly from: number,
  ) {}

  get last(): number {
    return this.messages[this.place - 1]?.offset ?? this.from - 1
  }
  get standing(): boolean {
    return this.place < this.messages.length
  }
  get offset(): number {
    return this.message().offset
  }
  get appendedAtMs(): number {
    return this.message().appendedAtMs
  }
  next(): void {
    this.place++
  }
  message(): RawMessage {
    const message = this.messages[this.place]
    if (!message) throw new RangeError('Cannot read a record: there is none any more')
    return message
  }
}
