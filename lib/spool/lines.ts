/** What is unsent, by topic-partition and in order: the index of the chunks in memory, their bytes stay on the disk. */
export interface Chunk {
  chunk: number
  topic: string
  partition: number
  messages: number
  bytes: number
  acceptedAtMs: number
}

export interface Line {
  topic: string
  partition: number
  queue: Chunk[]
  /** so many at the head of the queue are with the sender */
  inFlight: number
}

export interface Lines {
  readonly messages: number
  readonly bytes: number
  all(): Iterable<Line>
  add(chunk: Chunk): void
  /** the oldest chunks of a line, at least one where there is one, else as many as fit; null where all is in flight or none is there */
  take(topic: string, partition: number, maxMessages: number, maxBytes: number): Chunk[] | null
  /** these, which `take` gave, are done with */
  remove(chunks: readonly Chunk[]): void
  /** takes out the oldest chunk that is not with the sender */
  dropOldest(): Chunk | null
  oldestAtMs(): number | null
}

export function createLines(): Lines {
  const lines = new Map<string, Line>()
  let messages = 0
  let bytes = 0

  const lineOf = (topic: string, partition: number): Line => {
    const name = `${topic}/${partition}`
    let line = lines.get(name)
    if (!line) lines.set(name, (line = { topic, partition, queue: [], inFlight: 0 }))
    return line
  }
  const forget = (chunk: Chunk) => {
    messages -= chunk.messages
    bytes -= chunk.bytes
  }

  return {
    get messages() {
      return messages
    },
    get bytes() {
      return bytes
    },
    all: () => lines.values(),
    add(chunk) {
      lineOf(chunk.topic, chunk.partition).queue.push(chunk)
      messages += chunk.messages
      bytes += chunk.bytes
    },
    take(topic, partition, maxMessages, maxBytes) {
      const line = lineOf(topic, partition)
      if (line.inFlight > 0 || line.queue.length === 0) return null
      let count = 0
      let size = 0
      let n = 0
      for (const chunk of line.queue) {
        if (n > 0 && (count + chunk.messages > maxMessages || size + chunk.bytes > maxBytes)) break
        count += chunk.messages
        size += chunk.bytes
        n++
      }
      line.inFlight = n
      return line.queue.slice(0, n)
    },
    remove(chunks) {
      const first = chunks[0]
      if (!first) return
      const line = lineOf(first.topic, first.partition)
      line.queue.splice(0, chunks.length).forEach(forget)
      line.inFlight = 0
    },
    dropOldest() {
      let oldest: Line | null = null
      for (const line of lines.values()) {
        const chunk = line.queue[line.inFlight]
        if (chunk && chunk.chunk < (oldest?.queue[oldest.inFlight]?.chunk ?? Infinity)) oldest = line
      }
      const chunk = oldest?.queue.splice(oldest.inFlight, 1)[0] ?? null
      if (chunk) forget(chunk)
      return chunk
    },
    oldestAtMs() {
      let oldest = Infinity
      for (const line of lines.values()) oldest = Math.min(oldest, line.queue[0]?.acceptedAtMs ?? Infinity)
      return oldest === Infinity ? null : oldest
    },
  }
}
