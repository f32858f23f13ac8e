import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { oneOf } from './by-number.ts'
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

/** All lines of a kind, by all writers, as `keep` wants them; null where nobody wrote any. A last line that is cut off was never written. */
function linesOf<K extends keyof Lines, T>(
  directory: string,
  kind: K,
  keep: (line: Lines[K]) => T,
): T[] | null {
  const pattern = new RegExp(`^${kind}(-[^.]*)?\\.jsonl$`)
  const files = existsSync(directory) ? readdirSync(directory).filter((name) => pattern.test(name)) : []
  if (files.length === 0) return null
  const kept: T[] = []
  for (const file of files) {
    const text = readFileSync(join(directory, file), 'utf8')
    for (let from = 0, to; (to = text.indexOf('\n', from)) >= 0; from = to + 1)
      if (to > from) kept.push(keep(JSON.parse(text.slice(from, to)) as Lines[K]))
  }
  return kept
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
  const same = <T>(line: T) => line
  return {
    accepted: linesOf(directory, 'accepted', ({ run, sensor, prints, ...a }): AcceptedRun => {
      return { ...a, run: oneOf(run), sensor: oneOf(sensor), prints: prints.map((p) => BigInt(`0x${p}`)) }
    }),
    sends: sendsOf(directory),
    faults: pairFaults([
      ...(linesOf(directory, 'faults', same) ?? []),
      ...(runs === null ? [] : faultsOfScripts(runs)),
    ]),
    positions: linesOf(directory, 'positions', same),
    answers: linesOf(directory, 'answers', same),
    processes: linesOf(directory, 'processes', same),
  }
}

function sendsOf(directory: string): Send[] | null {
  const sends = new Map<string, Send>()
  const isTapped = linesOf(directory, 'sends', (line) => {
    const id = `${line.pid}/${line.send}`
    if (line.step === 'asked') {
      const messages = line.messages.map(([partition, key, seq]) => ({ partition, key: oneOf(key), seq }))
      sends.set(id, { at: line.at, outcome: 'open', topic: oneOf(line.topic), messages, answer: [] })
    }
    const send = sends.get(id)
    if (!send || line.step === 'asked') return
    send.outcome = line.step
    if (line.step === 'acked') send.answer = line.answer.map(([partition, base]) => ({ partition, base }))
  })
  return isTapped && [...sends.values()]
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
