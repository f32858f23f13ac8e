/**
 * Asks a server one question on its port, in its own language, with bare bytes: a TCP connect would already say yes
 * while the server still refuses work, and a client library would log and retry.
 */
const PROBE_MS = 1000

/** true where a Kafka broker answers ApiVersions, which it does only once it has caught up and takes requests. */
export function kafkaAnswers(host: string, port: number): Promise<boolean> {
  // size, api key 18, version 0, correlation id 1, client id null
  const request = Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff])
  return ask(host, port, request, (reply) => reply.length >= 8 && reply.readInt32BE(4) === 1)
}

/** true where PostgreSQL asks for a password (or lets in): not while it starts up, recovers or shuts down. */
export function postgresAnswers(
  host: string,
  port: number,
  user: string,
  database: string,
): Promise<boolean> {
  const text = Buffer.from(`user\0${user}\0database\0${database}\0\0`)
  const request = Buffer.alloc(8 + text.length)
  request.writeInt32BE(request.length, 0)
  request.writeInt32BE(196_608, 4) // protocol 3.0
  text.copy(request, 8)
  return ask(host, port, request, (reply) => reply[0] === 0x52) // 'R', Authentication…
}

export async function httpAnswers(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(PROBE_MS) })).ok
  } catch {
    return false
  }
}

/** true where something speaks HTTP there, whatever it says: a server that lets nobody in without a key */
export async function speaksHttp(url: string): Promise<boolean> {
  try {
    await (await fetch(url, { signal: AbortSignal.timeout(PROBE_MS) })).body?.cancel()
    return true
  } catch {
    return false
  }
}

function ask(
  host: string,
  port: number,
  request: Buffer,
  accepts: (reply: Buffer) => boolean,
): Promise<boolean> {
  return new Promise((resolve) => {
    let reply = Buffer.alloc(0)
    let connection: { end(): void } | null = null
    const settle = (answer: boolean) => {
      clearTimeout(timer)
      resolve(answer) // before the end, which reports itself as a close
      connection?.end()
    }
    const timer = setTimeout(() => settle(false), PROBE_MS)
    Bun.connect({
      hostname: host,
      port,
      socket: {
        open(socket) {
          connection = socket
          socket.write(request)
        },
        data(_socket, chunk) {
          reply = Buffer.concat([reply, chunk])
          if (reply.length >= 8) settle(accepts(reply))
        },
        close: () => settle(false),
        error: () => settle(false),
        connectError: () => settle(false),
      },
    }).catch(() => settle(false))
  })
}
