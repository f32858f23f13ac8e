import { sleep } from '../lib/run.ts'

/** Hears of alarms the way a client does: over the monitor's stream of events. */
export interface Heard {
  /** alarm → when its id arrived first, milliseconds since 1970 */
  at: ReadonlyMap<string, number>
  close(): void
}

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g // alarms have version 5

export async function watchAlerts(monitor: string, signal: AbortSignal): Promise<Heard> {
  const at = new Map<string, number>()
  const over = new AbortController()
  const until = AbortSignal.any([signal, over.signal])
  const first = Promise.withResolvers<void>()
  void (async () => {
    while (!until.aborted) {
      try {
        const response = await fetch(`${monitor}/events`, { signal: until })
        let rest = ''
        const decoder = new TextDecoder()
        for await (const chunk of response.body ?? []) {
          const now = Date.now()
          first.resolve()
          rest += decoder.decode(chunk, { stream: true })
          for (const [id] of rest.matchAll(UUID)) if (!at.has(id)) at.set(id, now)
          rest = rest.slice(-40) // an id may be cut in two
        }
      } catch {
        await sleep(200, until) // not up yet, or cut off: the stream begins with everything
      }
    }
  })()
  await first.promise
  return { at, close: () => over.abort() }
}
