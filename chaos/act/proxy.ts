import { createConnection, createServer, type Socket } from 'node:net'
import { sleep } from '../../lib/run.ts'

/**
 * `bun chaos/act/proxy.ts LISTEN TARGET [--latency MS] [--jitter MS] [--slice BYTES] [--rate BYTES] [--host 0.0.0.0]`: a TCP proxy on
 * loopback (or in the network of a container) that makes a network slow, in both directions: each piece waits latency ± jitter, is cut into slices, and
 * leaves at so many bytes a second. Prints a line once it listens. Ends on SIGTERM; its connections end with it.
 */
export interface Slowness {
  latencyMs: number
  jitterMs: number
  /** 0: as it comes */
  sliceBytes: number
  /** bytes a second of one connection and direction; 0: no limit */
  rateBytes: number
}

export function startProxy(listen: number, target: number, slow: Slowness, host = '127.0.0.1') {
  const server = createServer({ noDelay: true }, (near) => {
    const far = createConnection({ host: '127.0.0.1', port: target, localPort: nextPort(), noDelay: true })
    const end = () => (near.destroy(), far.destroy())
    near.on('error', end).on('close', end)
    far.on('error', end).on('close', end)
    carry(near, far, slow)
    carry(far, near, slow)
  })
  return new Promise<{ port: number; close(): void }>((resolve, reject) => {
    server.once('error', reject)
    server.listen(listen, host, () => {
      const address = server.address()
      resolve({ port: typeof address === 'object' ? (address?.port ?? 0) : 0, close: () => server.close() })
    })
  })
}

/** Its own connections come from ports that the system gives to nobody, so that a rule can tell them from the others. */
const OWN_PORTS = { first: 61_000, count: 4500 }
let portsGiven = Math.floor(Math.random() * OWN_PORTS.count)
const nextPort = () => OWN_PORTS.first + (portsGiven++ % OWN_PORTS.count)

/** One direction: pieces keep their order, however long each one waits. The reader is held back by 1 MiB on its way. */
function carry(from: Socket, to: Socket, slow: Slowness): void {
  const HELD_BYTES = 1024 * 1024
  let order = Promise.resolve()
  let onItsWay = 0
  from.on('data', (piece: Buffer) => {
    onItsWay += piece.length
    if (onItsWay > HELD_BYTES) from.pause()
    const dueMs = performance.now() + slow.latencyMs + (Math.random() * 2 - 1) * slow.jitterMs
    order = order.then(async () => {
      await sleep(Math.max(0, dueMs - performance.now()))
      const step = slow.sliceBytes > 0 ? slow.sliceBytes : piece.length
      for (let at = 0; at < piece.length && to.writable; at += step) {
        const slice = piece.subarray(at, at + step)
        to.write(slice)
        if (slow.rateBytes > 0) await sleep((slice.length / slow.rateBytes) * 1000)
      }
      onItsWay -= piece.length
      if (onItsWay <= HELD_BYTES) from.resume()
    })
  })
}

if (import.meta.main) {
  const words = process.argv.slice(2)
  const flag = (name: string) =>
    Number(words[words.indexOf(`--${name}`) + 1] ?? 0) * Number(words.includes(`--${name}`))
  const slow = {
    latencyMs: flag('latency'),
    jitterMs: flag('jitter'),
    sliceBytes: flag('slice'),
    rateBytes: flag('rate'),
  }
  const host = words.includes('--host') ? words[words.indexOf('--host') + 1] : undefined
  const { port } = await startProxy(Number(words[0]), Number(words[1]), slow, host)
  console.log(`proxy ${port} → ${words[1]}`)
}
