import { DeadlineError, sleep } from '../run.ts'

/** Keys behind `after` in their order, as many as the server likes to give; none where there are no more. */
export type ListPage = (after: string | undefined) => Promise<string[]>

const PAGE_ATTEMPTS = 5
const PASSES = 5

/**
 * Every key of a bucket. While objects are being written a server may say too early that there are no more, answer 500 over a
 * half-written one, or leave out what lies beside it without a word (s3proxy on files does all three). So a pass ends with an
 * empty page, and the bucket is gone through again until a pass finds nothing that was not known.
 */
export async function everyKey(list: ListPage): Promise<string[]> {
  const keys = new Set<string>()
  for (let pass = 1; pass <= PASSES; pass++) {
    const before = keys.size
    for (let after: string | undefined; ;) {
      const page = await stubbornly(() => list(after))
      if (page.length === 0) break
      for (const key of page) keys.add(key)
      after = page.at(-1)
    }
    if (pass > 1 && keys.size === before) break
  }
  return [...keys].sort()
}

/** Five times: while objects are being written a server answers as it likes. One that says nothing is away. */
export async function stubbornly<T>(ask: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask()
    } catch (error) {
      if (attempt === PAGE_ATTEMPTS || error instanceof DeadlineError) throw error
      await sleep(200 * attempt)
    }
  }
}
