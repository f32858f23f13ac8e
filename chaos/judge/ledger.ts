import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AcceptedRun, Answer, Fault, Position, ProcessSample, Send } from './evidence.ts'

/**
 * The ledger of a run: a folder outside the system, JSON lines, one file a writer. Whoever injects a fault appends two
 * lines to faults.jsonl, `{"at":MS,"kind":"consumer.kill","target":"consumer-2"}` and the same with `"ended":true`.
 */
export interface Lines {
  accepted: Omit<AcceptedRun, 'prints'> & { prints: string[] }
  positions: Position
  answers: Answer
  processes: ProcessSample
  faults: { at: number; kind: string; target: string; ended?: boolean }
  sends: SendLine
}

/** asked: about to be handed to the client library · acked, failed: what came of it */
export type SendLine =
  | {
      at: number
      pid: number
      send: number
      step: 'asked'
      topic: string
      messages: [number, string, number | null][]
    }
  | { at: number; pid: number; send: number; step: 'acked'; answer: [number, number][] }
  | { at: number; pid: number; send: number; step: 'failed'; why: string }

export function openLedger(directory: string) {
  mkdirSync(directory, { recursive: true })
  return {
    /** written before it returns: it outlives the process that writes */
    append<K extends keyof Lines>(kind: K, lines: readonly Lines[K][], writer = ''): void {
      if (lines.length === 0) return
      const name = writer === '' ? `${kind}.jsonl` : `${kind}-${writer}.jsonl`
      appendFileSync(join(directory, name), lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
    },
  }
}

/** All lines of a kind, by all writers; null where nobody wrote any. A last line that is cut off was never written. */
function linesOf<K extends keyof Lines>(directory: string, kind: K): Lines[K][] | null {
  const pattern = new RegExp(`^${kind}(-[^.]*)?\\.jsonl$`)
  const files = existsSync(directory) ? readdirSync(directory).filter((name) => pattern.test(name)) : []
  if (files.length === 0) return null
  return files.flatMap((file) => {
    const text = readFileSync(join(directory, file), 'utf8')
    const whole = text.slice(0, text.lastIndexOf('\n') + 1)
    return whole
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Lines[K])
  })
}

/** What chaos scripts say of their strikes (events.jsonl of each run below this folder). */
function faultsOfScripts(runs: string): Lines['faults'][] {
  if (!existsSync(runs)) return []
  return [...new Bun.Glob('**/events.jsonl').scanSync({ cwd: runs })].flatMap((file) => {
    const lines = readFileSync(join(runs, file), 'utf8').split('\n').filter(Boolean)
    return lines.flatMap((line) => {
      const { t, event, by } = JSON.parse(line) as Record<string, unknown>
      if (event !== 'strike' && event !== 'healed') return []
      return [{ at: Number(t), kind: String(by), target: '', ...(event === 'healed' ? { ended: true } : {}) }]
    })
  })
}

/** `runs`: where chaos scripts keep theirs; null: no script was at work. */
export function readLedger(directory: string, runs: string | null = null) {
  const accepted = linesOf(directory, 'accepted')
  const sends = linesOf(directory, 'sends')
  return {
    accepted:
      accepted?.map((a): AcceptedRun => ({ ...a, prints: a.prints.map((p) => BigInt(`0x${p}`)) })) ?? null,
    sends: sends && pairSends(sends),
    faults: pairFaults([
      ...(linesOf(directory, 'faults') ?? []),
      ...(runs === null ? [] : faultsOfScripts(runs)),
    ]),
    positions: linesOf(directory, 'positions'),
    answers: linesOf(directory, 'answers'),
    processes: linesOf(directory, 'processes'),
  }
}

function pairSends(lines: readonly SendLine[]): Send[] {
  const sends = new Map<string, Send>()
  for (const line of lines) {
    const id = `${line.pid}/${line.send}`
    if (line.step === 'asked') {
      const messages = line.messages.map(([partition, key, seq]) => ({ partition, key, seq }))
      sends.set(id, { at: line.at, outcome: 'open', topic: line.topic, messages, answer: [] })
    }
    const send = sends.get(id)
    if (!send || line.step === 'asked') continue
    send.outcome = line.step
    if (line.step === 'acked') send.answer = line.answer.map(([partition, base]) => ({ partition, base }))
  }
  return [...sends.values()]
}

function pairFaults(lines: readonly Lines['faults'][]): Fault[] {
  const faults: Fault[] = []
  for (const { at, kind, target, ended } of lines.toSorted((a, b) => a.at - b.at)) {
    const open = faults.findLast((f) => f.kind === kind && f.target === target && f.ended === null)
    if (ended && open) open.ended = at
    else if (!ended) faults.push({ at, ended: null, kind, target })
  }
  return faults
}
