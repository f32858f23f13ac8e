import { Problem } from './problem.ts'
import { faultText } from './section.ts'

/** A write that can't be done is the one case in which the API says 503. */
export type Write = <T>(work: () => Promise<T>) => Promise<T>

/** `outage`: the fault of PostgreSQL while it is known to be away; `onDone`: something was changed, look at once. */
export function createWrite(outage: () => string | null, onDone: () => void): Write {
  return async (work) => {
    try {
      const away = outage()
      if (away !== null) throw new Error(away)
      const result = await work()
      onDone()
      return result
    } catch (error) {
      if (error instanceof Problem) throw error
      throw new Problem(
        503,
        'Not done',
        `Nothing was changed for certain: ${faultText(error)}: try again`,
        undefined,
        { 'retry-after': '2' },
      )
    }
  }
}
