import { EXIT, flagsOf } from '../../lib/run.ts'

/** What an option has where it is not given: a whole number above 0, several of them, a word, or not set. */
type Usual = number | readonly number[] | string | false

export type Settings<Usuals> = {
  [Name in keyof Usuals]: Usuals[Name] extends number
    ? number
    : Usuals[Name] extends readonly number[]
      ? number[]
      : Usuals[Name] extends string
        ? string
        : boolean
}

/**
 * What a benchmark was told by its options: each takes what its default is. A benchmark fills a topic up to a number, or waits
 * for it: what is no such number ends it before it has started anything.
 */
export function settingsOf<Usuals extends Record<string, Usual>>(
  help: string,
  usuals: Usuals,
): Settings<Usuals> {
  const options = Object.entries(usuals).map(
    ([name, usual]) => [name, { type: usual === false ? 'boolean' : 'string' }] as const,
  )
  const given: Record<string, unknown> = flagsOf(help, Object.fromEntries(options))
  const read = ([name, usual]: [string, Usual]) => {
    const text = given[name]
    return [name, typeof text === 'string' ? parse(name, text, usual) : (text ?? usual)]
  }
  return Object.fromEntries(Object.entries(usuals).map(read)) as Settings<Usuals>
}

/** Ends the benchmark: an option was given what it does not take. */
export function refuse(option: string, expected: string, seen: string): never {
  console.error(`Cannot read --${option}: must be ${expected}: got "${seen}"`)
  process.exit(EXIT.usage)
}

function parse(name: string, text: string, usual: Usual): number | number[] | string {
  if (typeof usual === 'string') return text
  const numbers = text.split(',').map(Number)
  const areNumbers = numbers.every((number) => Number.isSafeInteger(number) && number > 0)
  if (typeof usual === 'object')
    return areNumbers ? numbers : refuse(name, 'whole numbers above 0, with commas between them', text)
  return areNumbers && numbers.length === 1 ? (numbers[0] ?? 0) : refuse(name, 'a whole number above 0', text)
}
