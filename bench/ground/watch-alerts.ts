/** Hears of alarms the way a client does: over the monitor's stream of events, in a thread that has nothing else to do. */
export interface Heard {
  /** alarm → when its id arrived first, milliseconds since 1970 */
  at: ReadonlyMap<string, number>
  close(): void
}

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g // alarms have version 5

/** Resolves when the stream is open. */
export async function watchAlerts(monitor: string): Promise<Heard> {
  const at = new Map<string, number>()
  const open = Promise.withResolvers<void>()
  const thread = new Worker(import.meta.url)
  thread.onmessage = ({ data }: MessageEvent<{ ids: string[]; now: number }>) => {
    open.resolve()
    for (const id of data.ids) if (!at.has(id)) at.set(id, data.now)
  }
  thread.onerror = (event) => open.reject(new Error(`Cannot hear of alarms: ${event.message}`))
  thread.postMessage(monitor)
  await open.promise
  return { at, close: () => thread.terminate() }
}

async function hear(monitor: string): Promise<never> {
  for (;;) {
    try {
      const response = await fetch(`${monitor}/events`)
      let rest = ''
      const decoder = new TextDecoder()
      for await (const chunk of response.body ?? []) {
        const now = Date.now()
        rest += decoder.decode(chunk, { stream: true })
        postMessage({ ids: [...rest.matchAll(UUID)].map(([id]) => id), now })
        rest = rest.slice(-40) // an id may be cut in two
      }
    } catch {
      await Bun.sleep(200) // not up yet, or cut off: the stream begins with everything
    }
  }
}

if (!Bun.isMainThread) self.onmessage = ({ data }: MessageEvent<string>) => void hear(data)
