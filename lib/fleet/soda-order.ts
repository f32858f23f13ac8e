import { z } from 'zod'
import { log } from '../log.ts'
import type { Measured, Past } from './fleet.ts'
import type { LineTarget, SodaPlan } from './soda-plan.ts'

/**
 * One run through all targets, remembered in the spool with the messages that belong to it. It is open until each sensor
 * has said that it has finished: a producer that was stopped or killed goes on where it was. One that ended with unsent
 * messages has nothing more to make: the next start only sends.
 */
export interface Order {
  /** everything is made; what is left is to be sent */
  isDone: boolean
  /** how many of a line are accepted */
  made(line: LineTarget): number
  memo: Memo
  memoOf(line: LineTarget, count: number): Memo
  memoOfEnd(): Memo
}

type Memo = NonNullable<Measured['memo']>

const orderMemo = z.object({ id: z.number(), plan: z.string(), finished: z.boolean() })
const lineMemo = z.object({ order: z.number(), count: z.number() })

export function openOrder(past: Past, plan: SodaPlan): Order {
  const print = String(Bun.hash.wyhash(JSON.stringify([plan.sensors, plan.lines])))
  const before = read(past, 'order', orderMemo)
  const isSame = before?.plan === print
  const isDone = isSame && before.finished && past.unsent > 0
  const goesOn = isSame && !before.finished
  if (before && !before.finished && !isSame)
    log.warn('soda.order_given_up', {
      message: 'The unfinished order of the last run is given up: the configuration has changed since',
    })
  const id = goesOn || isDone ? before.id : (before?.id ?? 0) + 1
  const memo = { name: 'order', text: JSON.stringify({ id, plan: print, finished: isDone }) }
  const made = (line: LineTarget) => {
    if (isDone) return line.total
    const memo = read(past, nameOf(line), lineMemo)
    return memo?.order === id ? Math.min(memo.count, line.total) : 0
  }
  if (goesOn || isDone)
    log.info(isDone ? 'soda.order_unsent' : 'soda.order_resumed', {
      made: plan.lines.reduce((sum, line) => sum + made(line), 0),
      unsent: past.unsent,
    })
  return {
    isDone,
    made,
    memo,
    memoOf: (line, count) => ({ name: nameOf(line), text: JSON.stringify({ order: id, count }) }),
    memoOfEnd: () => ({ name: 'order', text: JSON.stringify({ id, plan: print, finished: true }) }),
  }
}

function nameOf({ factoryId, sensorId, sodaName }: LineTarget): string {
  return `line ${factoryId} ${sensorId} ${sodaName}`
}

/** Null where there is none, or one that another version wrote. */
function read<T>({ memos }: Past, name: string, form: z.ZodType<T>): T | null {
  const text = memos.get(name)
  if (text === undefined) return null
  try {
    return form.safeParse(JSON.parse(text)).data ?? null
  } catch {
    return null
  }
}
