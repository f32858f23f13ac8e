import { log } from '../log.ts'
import { Problem } from './problem.ts'

/**
 * Server-sent events. Each stream begins with everything (or with what the viewer lacks, by Last-Event-ID) and goes on
 * with changes; a comment every four seconds keeps it open and lets the page notice its death. A viewer that does not
 * read is cut: it reconnects and resumes, and its backlog is not our memory.
 */
export interface Feed {
  /** everything, as of now: the same object for all who come before something changes */
  whole(): Change
  /** what changed since the last call; null: nothing. Called once a snapshot, while somebody listens */
  next(): Change | null
  /** what a viewer of that id lacks; null: too long ago */
  since(id: number): Change[] | null
}

export interface Change {
  id: number
  event: 'snapshot' | 'change' | 'tree' | 'patch'
  /** one line of JSON */
  data: string
}

export interface Streams {
  open(name: string, feed: Feed, from: number | null, client: string | null): Response
  /** sends what changed to everyone */
  tick(): void
  count(): number
  close(): void
}

export interface StreamOptions {
  maxStreams?: number
  /** per client address; null addresses (this machine) are not counted */
  maxPerClient?: number
  heartbeatMs?: number
  /** bytes waiting for one viewer before it is cut */
  maxBacklogBytes?: number
}

interface Viewer {
  feed: Feed
  client: string | null
  controller: ReadableStreamDefaultController<Uint8Array>
  /** what it was given at the start may wait however long; only what came since counts as its backlog */
  allowance: number
}

export function createStreams(options: StreamOptions = {}): Streams {
  const { maxStreams = 1000, maxPerClient = 20, heartbeatMs = 4000, maxBacklogBytes = 512 * 1024 } = options
  const viewers = new Set<Viewer>()
  const encoder = new TextEncoder()
  const beat = encoder.encode(': beat\n\n')
  const timer = setInterval(() => {
    for (const viewer of viewers) send(viewer, beat)
  }, heartbeatMs)
  timer.unref()

  const retry = encoder.encode('retry: 1000\n\n')
  const encoded = new WeakMap<Change, Uint8Array>()
  const encode = (c: Change) => encoder.encode(`id: ${c.id}\nevent: ${c.event}\ndata: ${c.data}\n\n`)
  /** of what many begin with: made once */
  function bytesOf(c: Change): Uint8Array {
    const bytes = encoded.get(c) ?? encode(c)
    encoded.set(c, bytes)
    return bytes
  }

  function send(viewer: Viewer, bytes: Uint8Array): void {
    try {
      viewer.controller.enqueue(bytes)
      if ((viewer.controller.desiredSize ?? 0) < -maxBacklogBytes - viewer.allowance) {
        log.info('stream.cut', { client: viewer.client ?? 'local', reason: 'reads too slowly' })
        drop(viewer)
      }
    } catch {
      viewers.delete(viewer) // it has gone
    }
  }
  function drop(viewer: Viewer): void {
    viewers.delete(viewer)
    try {
      viewer.controller.error(new Error('reads too slowly'))
    } catch {
      // already closed
    }
  }
  return {
    open(name, feed, from, client) {
      if (viewers.size >= maxStreams) {
        throw new Problem(
          503,
          'Too many streams',
          `${maxStreams} streams are open: ask again later, or poll`,
          undefined,
          { 'retry-after': '10' },
        )
      }
      const own = client === null ? 0 : [...viewers].filter((v) => v.client === client).length
      if (own >= maxPerClient) {
        throw new Problem(
          429,
          'Too many streams',
          `${own} streams are open from this address: close one`,
          undefined,
          { 'retry-after': '10' },
        )
      }
      let viewer: Viewer | null = null
      const body = new ReadableStream<Uint8Array>(
        {
          start(controller) {
            // The others first: what they get now is part of what this one begins with.
            tickOf([feed])
            const lacking = (from === null ? null : feed.since(from)) ?? [feed.whole()]
            const start = [retry, ...lacking.map(bytesOf)]
            const allowance = start.reduce((sum, bytes) => sum + bytes.byteLength, 0)
            viewer = { feed, client, controller, allowance }
            viewers.add(viewer)
            for (const bytes of start) send(viewer, bytes)
          },
          cancel() {
            if (viewer) viewers.delete(viewer)
          },
        },
        new ByteLengthQueuingStrategy({ highWaterMark: 16 * 1024 }),
      )
      log.debug('stream.opened', { name, viewers: viewers.size })
      return new Response(body, {
        headers: {
          'content-type': 'text/event-stream; charset=utf-8',
          'cache-control': 'no-store',
          'x-accel-buffering': 'no',
        },
      })
    },
    tick() {
      tickOf(new Set([...viewers].map((v) => v.feed)))
    },
    count: () => viewers.size,
    close() {
      clearInterval(timer)
      for (const viewer of viewers) {
        try {
          viewer.controller.close()
        } catch {
          // already closed
        }
      }
      viewers.clear()
    },
  }

  function tickOf(feeds: Iterable<Feed>): void {
    for (const feed of feeds) {
      const change = feed.next()
      if (!change) continue
      const bytes = encode(change)
      for (const viewer of viewers) if (viewer.feed === feed) send(viewer, bytes)
    }
  }
}
