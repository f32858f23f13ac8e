import { createRandom } from '../failure/random.ts'

/**
 * A world of its own: virtual time, processes that can be frozen and killed, chance from one seed. Code of the product runs
 * in it unchanged: its timers are ours, and each thing that happens (a timer, an answer) belongs to one process. After
 * each, everything that follows without waiting has run before the next thing happens, so that a process can stop for
 * a while, or for ever, at any of its awaits, as under SIGSTOP and SIGKILL.
 */
export interface World {
  readonly random: () => number
  now(): number
  /** something will happen to this process */
  after(ms: number, process: Process, act: () => void): number
  cancel(id: number): void
  /** lets things happen until `until` says so or the time is over; false: it was over */
  run(untilMs: number, until?: () => boolean): Promise<boolean>
  chance(share: number): boolean
  between(low: number, high: number): number
  current(): Process
  /** what nobody has caught */
  readonly faults: string[]
}

export interface Process {
  name: string
  alive: boolean
  /** asleep until this moment of virtual time */
  frozenUntil: number
}

export const newProcess = (name: string): Process => ({ name, alive: true, frozenUntil: 0 })

interface Happening {
  at: number
  order: number
  process: Process
  act: (() => void) | null
}

const real = {
  setTimeout,
  clearTimeout,
  setInterval,
  clearInterval,
  setImmediate,
  now: Date.now,
  performance: performance.now,
  random: Math.random,
}
const EPOCH = Date.UTC(2026, 0, 1)

export function createWorld(seed: number): World & { end(): void } {
  const random = createRandom(seed)
  const nature = newProcess('nature')
  const queue = createQueue()
  const byId = new Map<number, Happening>()
  const faults: string[] = []
  let order = 0
  let now = 0
  let current = nature

  const world: World & { end(): void } = {
    random,
    faults,
    now: () => now,
    current: () => current,
    chance: (share) => random() < share,
    between: (low, high) => low + random() * (high - low),
    after(ms, process, act) {
      const happening = { at: now + Math.max(0, ms), order: ++order, process, act }
      byId.set(order, happening)
      queue.push(happening)
      return order
    },
    cancel(id) {
      const happening = byId.get(id)
      if (happening) happening.act = null
      byId.delete(id)
    },
    async run(untilMs, until = () => false) {
      for (;;) {
        if (until()) return true
        const next = queue.peek()
        if (!next || next.at > untilMs) {
          now = untilMs
          return until()
        }
        queue.pop()
        const { act, process } = next
        if (!act) continue
        if (!process.alive) {
          byId.delete(next.order)
          continue
        }
        if (process.frozenUntil > next.at) {
          next.at = process.frozenUntil
          queue.push(next)
          continue
        }
        byId.delete(next.order)
        now = next.at
        current = process
        try {
          act()
        } catch (error) {
          faults.push(`${process.name}: ${String(error)}`)
        }
        await new Promise<void>((resolve) => real.setImmediate(resolve))
      }
    },
    end() {
      Object.assign(globalThis, {
        setTimeout: real.setTimeout,
        clearTimeout: real.clearTimeout,
        setInterval: real.setInterval,
        clearInterval: real.clearInterval,
      })
      Date.now = real.now
      performance.now = real.performance
      Math.random = real.random
    },
  }

  const timer = (id: number) => ({ id, unref: () => {}, ref: () => {}, [Symbol.toPrimitive]: () => id })
  const set = (act: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) =>
    timer(world.after(ms, current, () => act(...args)))
  const repeat = (act: () => void, ms: number) => {
    const handle = timer(0)
    const mine = current
    const again = () => {
      handle.id = world.after(ms, mine, () => {
        again()
        act()
      })
    }
    again()
    return handle
  }
  const clear = (handle: { id: number } | null | undefined) => handle && world.cancel(handle.id)
  Object.assign(globalThis, {
    setTimeout: set,
    clearTimeout: clear,
    setInterval: repeat,
    clearInterval: clear,
  })
  Date.now = () => EPOCH + now
  performance.now = () => now
  Math.random = random
  return world
}

/** A binary heap by time, then by order. */
function createQueue() {
  const heap: Happening[] = []
  const before = (a: number, b: number) => {
    const x = heap[a]
    const y = heap[b]
    return x !== undefined && y !== undefined && (x.at < y.at || (x.at === y.at && x.order < y.order))
  }
  const swap = (a: number, b: number) => ([heap[a], heap[b]] = [heap[b] as Happening, heap[a] as Happening])
  return {
    peek: () => heap[0],
    push(item: Happening) {
      heap.push(item)
      for (let i = heap.length - 1; i > 0 && before(i, (i - 1) >> 1); i = (i - 1) >> 1) swap(i, (i - 1) >> 1)
    },
    pop() {
      swap(0, heap.length - 1)
      heap.pop()
      for (let i = 0; ;) {
        let least = i
        for (const child of [2 * i + 1, 2 * i + 2]) if (before(child, least)) least = child
        if (least === i) return
        swap(i, least)
        i = least
      }
    },
  }
}
