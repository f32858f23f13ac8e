import { parseArgs, type ParseArgsConfig } from 'node:util'
import { log } from './log.ts'

/** Exit codes of every program here (sysexits.h where it has one). */
export const EXIT = { ok: 0, fault: 1, usage: 2, unavailable: 69, tempFail: 75, config: 78 } as const

/** A condition under which the program ends with one clear message and a code of its own, without a stack trace. */
export class Stop extends Error {
  constructor(
    message: string,
    readonly exitCode: number,
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.name = 'Stop'
  }
}

/** The flags a program was given. `--help` prints its text and ends it; what it does not know ends it with 2. */
export function flagsOf<T extends NonNullable<ParseArgsConfig['options']>>(help: string, options: T) {
  try {
    const { values } = parseArgs({ options: { ...options, help: { type: 'boolean' } }, strict: true })
    if (!('help' in values && values.help)) return values
  } catch (error) {
    console.error(`Cannot read the arguments: ${(error as Error).message}: --help shows the way`)
    process.exit(EXIT.usage)
  }
  console.log(help)
  process.exit(EXIT.ok)
}

/** `bun run` passes a Ctrl-C of the terminal on a second time: what follows this closely is the same one */
const SAME_SIGNAL_MS = 700

/**
 * Runs a program: the first SIGINT or SIGTERM aborts the signal (finish the batch, commit, close), the second exits at
 * once. Anything that nobody caught ends the process with 1, so that a supervisor starts it afresh.
 */
export async function run(
  name: string,
  main: (signal: AbortSignal) => Promise<number | void>,
): Promise<never> {
  const stop = new AbortController()
  let firstAt = 0
  const onSignal = (signal: NodeJS.Signals) => {
    if (stop.signal.aborted) {
      if (performance.now() - firstAt < SAME_SIGNAL_MS) return
      process.exit(signal === 'SIGINT' ? 130 : 143)
    }
    firstAt = performance.now()
    log.info('process.stopping', { signal })
    stop.abort()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  process.on('unhandledRejection', (reason) => die('process.unhandled_rejection', reason))
  process.on('uncaughtException', (error) => die('process.uncaught_exception', error))
  try {
    const code = (await main(stop.signal)) ?? EXIT.ok
    log.info('process.stopped', { name, code })
    await log.close()
    process.exit(code)
  } catch (error) {
    if (error instanceof Stop) {
      log.error('process.failed', { name, error: error.message })
      await log.close()
      process.exit(error.exitCode)
    }
    die('process.failed', error)
  }
}

function die(event: string, error: unknown): never {
  log.error(event, { error: error instanceof Error ? error : String(error) })
  process.exit(EXIT.fault)
}

/** Resolves after `ms`, or at once when the signal aborts: loops check the signal themselves. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) resolve()
    else countdown(ms, signal, resolve)
  })
}

/** A rest ends up to so much of its time earlier or later than asked for. */
const TOLERANCE = 0.25
/** the rests under way: what ends each, and from when on */
const rests = new Map<() => void, number>()

/**
 * A sleep for what happens now and then and needs no exact time: it ends along with whatever wakes this process about then
 * (`stir`). A wake-up costs an idle process more than most of what is done in it. `onBegin` is given what ends it at once.
 */
export function rest(ms: number, signal?: AbortSignal, onBegin?: (end: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const end = countdown(ms * (1 + TOLERANCE), signal, () => {
      rests.delete(end)
      resolve()
      stir()
    })
    rests.set(end, performance.now() + ms * (1 - TOLERANCE))
    onBegin?.(end)
  })
}

/** The process is awake, for whatever reason: rests that are about over end now. */
export function stir(): void {
  const now = performance.now()
  for (const [end, from] of rests) if (from <= now) end()
}

/** Calls `over` once: after `ms`, when the signal aborts, or when the function that it returns is called. */
function countdown(ms: number, signal: AbortSignal | undefined, over: () => void): () => void {
  const end = () => {
    clearTimeout(timer)
    signal?.removeEventListener('abort', end)
    over()
  }
  const timer = setTimeout(end, ms)
  signal?.addEventListener('abort', end, { once: true })
  return end
}

/** Waits for the promise, but no longer than `ms`; rejects where it does. */
export async function atMost(promise: Promise<unknown>, ms: number): Promise<void> {
  const over = new AbortController()
  await Promise.race([promise, sleep(ms, over.signal)]).finally(() => over.abort())
}

/** The promise, or a rejection naming `what` once `ms` are over: no wait for a server is without an end. */
export function withDeadline<T>(promise: PromiseLike<T>, ms: number, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new DeadlineError(`Cannot ${what}: no answer within ${ms} ms`)), ms)
    promise.then(
      (value) => {
        clearTimeout(timer)
        resolve(value)
      },
      (error) => {
        clearTimeout(timer)
        reject(error)
      },
    )
  })
}

export class DeadlineError extends Error {}
