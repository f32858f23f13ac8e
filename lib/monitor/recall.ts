import { faultText, type Section } from './section.ts'

/**
 * Answers to questions that are asked on demand, with the last good one kept: PostgreSQL away does not turn a page into
 * an error, it turns it old, and says so. Bounded: the least recently used is forgotten.
 */
export type Recall = <T>(key: string, question: () => Promise<T>, freshMs?: number) => Promise<Section<T>>

const KEPT = 200

interface Memory {
  data: unknown
  at: number
}

/** `outage` names the fault while the server is known to be away: then nobody waits for it to say so again. */
export function createRecall(
  clock: () => number = Date.now,
  outage: () => string | null = () => null,
): Recall {
  const memories = new Map<string, Memory>()
  const running = new Map<string, Promise<unknown>>()
  let failingSince: number | null = null

  return async <T>(key: string, question: () => Promise<T>, freshMs = 0): Promise<Section<T>> => {
    const known = memories.get(key)
    if (known && clock() - known.at < freshMs) return section(known.data as T, known.at, null)
    const away = outage()
    try {
      if (away !== null) throw new Error(away)
      // The same question asked by many at once is asked once.
      const asked = (running.get(key) as Promise<T> | undefined) ?? question()
      running.set(key, asked)
      const data = await asked.finally(() => running.delete(key))
      const at = clock()
      memories.delete(key)
      memories.set(key, { data, at })
      for (const oldest of memories.keys()) {
        if (memories.size <= KEPT) break
        memories.delete(oldest)
      }
      failingSince = null
      return section(data, at, null)
    } catch (error) {
      failingSince ??= clock()
      const fault = {
        title: 'PostgreSQL does not answer',
        detail: faultText(error),
        since: new Date(failingSince).toISOString(),
      }
      return section((known?.data as T | undefined) ?? null, known?.at ?? null, fault)
    }
  }
}

function section<T>(data: T | null, at: number | null, error: Section<T>['error']): Section<T> {
  return {
    status: error ? 'error' : 'ok',
    as_of: at === null ? null : new Date(at).toISOString(),
    error,
    data,
  }
}
