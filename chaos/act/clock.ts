import { readFileSync } from 'node:fs'

/**
 * Preloaded into a program (`bun run --preload ./chaos/act/clock.ts …`): its clock is wrong by as many seconds as the file
 * CHAOS_CLOCK says, read anew twice a second, so that it jumps while the program runs.
 */
const file = process.env.CHAOS_CLOCK ?? ''
const RealDate = Date
const realNow = Date.now.bind(Date)
let shiftMs = read()
setInterval(() => void (shiftMs = read()), 500).unref()

function read(): number {
  try {
    return Number(readFileSync(file, 'utf8')) * 1000
  } catch {
    return 0
  }
}

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args: unknown[]) =>
    Reflect.construct(target, args.length === 0 ? [realNow() + shiftMs] : args) as object,
  apply: () => new RealDate(realNow() + shiftMs).toString(),
  get: (target, key, receiver) =>
    key === 'now' ? () => realNow() + shiftMs : (Reflect.get(target, key, receiver) as unknown),
})
