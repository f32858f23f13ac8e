import { sleep } from '../../lib/run.ts'

/**
 * `bun chaos/act/flood.ts PORT STREAMS SECONDS`: as many event streams as asked for, every tenth of which never reads,
 * and requests as fast as 50 at a time are answered. Prints what it got:
 * {"streams":…,"streams_refused":…,"answers":…,"refused":…,"failed":…}. The monitor holds some streams an address, and
 * counts this machine's own only where nothing (an engine's gateway, a proxy) stands between.
 */
const [port = '5000', streams = '500', seconds = '20'] = process.argv.slice(2)
const base = `http://127.0.0.1:${port}`
const PATHS = [
  '/api/system-status',
  '/api/consumer-health',
  '/api/partition-assignment',
  '/',
  '/api/recent-alerts',
]
const over = new AbortController()
const got = { streams: 0, streams_refused: 0, answers: 0, refused: 0, failed: 0 }

/** A socket of its own for each stream: Bun's fetch has no more than 256 requests open. */
async function listen(index: number): Promise<void> {
  const begin = (socket: Bun.Socket) => {
    socket.write(`GET /events HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: text/event-stream\r\n\r\n`)
    if (index % 10 === 0) socket.pause() // never reads, beyond what comes at once
  }
  let isAnswered = false
  const answer = (_: unknown, data: Buffer) => {
    if (isAnswered) return
    isAnswered = true
    if (data.toString('latin1').startsWith('HTTP/1.1 200')) got.streams++
    else got.streams_refused++
  }
  try {
    await Bun.connect({ hostname: '127.0.0.1', port: Number(port), socket: { open: begin, data: answer } })
  } catch {
    got.failed++
  }
}

async function ask(index: number): Promise<void> {
  for (let i = index; !over.signal.aborted; i++) {
    try {
      const answer = await fetch(base + PATHS[i % PATHS.length], { signal: over.signal })
      await answer.arrayBuffer()
      if (answer.status < 400) got.answers++
      else got.refused++
    } catch {
      if (over.signal.aborted) return
      got.failed++
      await sleep(20)
    }
  }
}

const all = [
  ...Array.from({ length: Number(streams) }, (_, i) => listen(i)),
  ...Array.from({ length: 50 }, (_, i) => ask(i)),
]
process.on('SIGTERM', () => over.abort())
await sleep(Number(seconds) * 1000, over.signal)
over.abort()
await Promise.race([Promise.allSettled(all), sleep(2000)])
console.log(JSON.stringify(got))
process.exit(0)
