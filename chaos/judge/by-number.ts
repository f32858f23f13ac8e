/** Millions of readings name a few sensors: each name is kept once. */
const names = new Map<string, string>()

export function oneOf(name: string): string {
  const known = names.get(name)
  if (known !== undefined) return known
  names.set(name, name)
  return name
}

/** Values by some names and a number (a place in a log, a reading of a run), without a text for each of millions. */
export class ByNumber<T> {
  readonly #lists = new Map<string, Map<number, T>>()

  get(n: number, ...of: readonly (string | number | null)[]): T | undefined {
    return this.#lists.get(of.join('/'))?.get(n)
  }

  set(value: T, n: number, ...of: readonly (string | number | null)[]): void {
    const id = of.join('/')
    let list = this.#lists.get(id)
    if (!list) this.#lists.set(id, (list = new Map()))
    list.set(n, value)
  }
}

/** A place in a log, in words. */
export function placeOf({
  topic,
  partition,
  offset,
}: {
  topic: string
  partition: number
  offset: number
}): string {
  return `${topic}/${partition}/${offset}`
}
