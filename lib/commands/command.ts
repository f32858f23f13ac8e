import { userInfo } from 'node:os'
import { parseArgs, type ParseArgsConfig } from 'node:util'
import { log } from '../log.ts'
import { isPlainText } from '../reading.ts'
import { EXIT, Stop } from '../run.ts'

type Options = NonNullable<ParseArgsConfig['options']>
type Values = Record<string, string | boolean | (string | boolean)[] | undefined>

/**
 * A command for people: `--help`, arguments checked (exit 2), data on stdout, words on stderr, one plain message for a
 * condition that it knows. The signal aborts on the first Ctrl-C, TERM or hang-up; the second ends it at once.
 */
export async function command(spec: {
  help: string
  options?: Options
  /** how many words may follow the name */
  words?: number
  main: (values: Values, words: string[], signal: AbortSignal) => Promise<number | void>
}): Promise<never> {
  log.configure({ level: 'WARN' })
  try {
    const { values, words } = read(spec.options ?? {}, spec.words ?? 0)
    if (values.help) {
      console.log(spec.help)
      process.exit(EXIT.ok)
    }
    process.exit((await spec.main(values, words, onSignals())) ?? EXIT.ok)
  } catch (error) {
    if (!(error instanceof Stop)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(error.exitCode)
  }
}

/** A flag that takes a whole number of at least 1; undefined where it was not given. */
export function positiveFlag(name: string, value: Values[string]): number | undefined {
  if (value === undefined) return undefined
  const number = Number(value)
  if (Number.isInteger(number) && number > 0) return number
  throw new Stop(`Cannot read --${name}: must be a whole number above 0: got "${String(value)}"`, EXIT.usage)
}

/** Who does it: `--by`, else the login. Refused as the API refuses it: no name, or none that fits a line. */
export function actorFlag(value: Values[string]): string {
  const name = String(value ?? userInfo().username)
  if (name.trim() !== '' && name.length <= 64 && isPlainText(name)) return name
  throw new Stop(
    `Cannot read --by: must be a name of 1 to 64 characters: got ${JSON.stringify(name)}`,
    EXIT.usage,
  )
}

function read(options: Options, most: number): { values: Values; words: string[] } {
  try {
    const { values, positionals } = parseArgs({
      options: { ...options, help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
      strict: true,
    })
    if (positionals.length > most) throw new Error(`unexpected "${positionals[most] ?? ''}"`)
    return { values, words: positionals }
  } catch (error) {
    throw new Stop(
      `Cannot read the arguments: ${error instanceof Error ? error.message : String(error)}: see --help`,
      EXIT.usage,
    )
  }
}

/** Ctrl-C reaches us twice, from the terminal and again from `bun run`; a person's second one comes later than this. */
const SAME_SIGNAL_MS = 700

function onSignals(): AbortSignal {
  const stop = new AbortController()
  let firstAt = 0
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (!stop.signal.aborted) {
        firstAt = performance.now()
        stop.abort()
      } else if (performance.now() - firstAt > SAME_SIGNAL_MS) {
        process.exit(130)
      }
    })
  }
  return stop.signal
}
