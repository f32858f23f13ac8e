import { join } from 'node:path'
import { log } from '../log.ts'
import { sleep } from '../run.ts'
import { STOP_ORDER, type Layer, type Part } from './part.ts'
import { end, isAlive, launch, type Running } from './process.ts'
import { fingerprint, livingRecords, removeRecord, writeRecord } from './record.ts'
import { afterExit } from './restart.ts'

/**
 * Keeps parts running. States of a part:
 *   starting → running        its `ready` said yes
 *   starting, running → waiting → starting   it ended: again after a back-off
 *   starting, running → finished | refused   it ended for good (its work is done; its configuration is wrong)
 *   any → stopping → stopped  someone asked
 * There is at most one process of a part at any time, and its record is on disk before anyone waits for it.
 */
export type State = 'starting' | 'running' | 'waiting' | 'stopping' | 'stopped' | 'finished' | 'refused'

export interface PartStatus {
  name: string
  layer: Layer
  state: State
  pid: number | null
  /** when this process started, milliseconds since 1970 */
  since: number | null
  /** how often it was started again since it was first asked for */
  restarts: number
  lastExitCode: number | null
  error: string | null
  ports: number[]
}

export interface Supervisor {
  /** Starts a part, or leaves it where it already is kept. */
  up(part: Part): void
  /** Stops the parts that `wanted` names, layer by layer; resolves when they are gone. */
  down(wanted: (status: PartStatus) => boolean): Promise<string[]>
  status(): PartStatus[]
}

interface Kept {
  part: Part
  status: PartStatus
  stop: AbortController
  done: Promise<void>
}

const READY_POLL_MS = 100
const ADOPTED_POLL_MS = 500

export function createSupervisor(dir: string): Supervisor {
  const kept = new Map<string, Kept>()

  return {
    up(part) {
      const before = kept.get(part.name)
      if (before && !isOver(before.status.state)) return
      const status: PartStatus = {
        name: part.name,
        layer: part.layer,
        state: 'starting',
        pid: null,
        since: null,
        restarts: 0,
        lastExitCode: null,
        error: null,
        ports: part.ports.map((p) => p.port),
      }
      const stop = new AbortController()
      kept.set(part.name, { part, status, stop, done: keep(dir, part, status, stop.signal) })
    },
    async down(wanted) {
      const names: string[] = []
      for (const layer of STOP_ORDER) {
        const group = [...kept.values()].filter(
          (one) => one.part.layer === layer && !isOver(one.status.state) && wanted(one.status),
        )
        for (const one of group) {
          one.status.state = 'stopping'
          one.stop.abort()
        }
        await Promise.all(group.map((one) => one.done))
        names.push(...group.map((one) => one.part.name))
      }
      return names
    },
    status: () => [...kept.values()].map((one) => ({ ...one.status })),
  }
}

function isOver(state: State): boolean {
  return state === 'stopped' || state === 'finished' || state === 'refused'
}

/** The life of one part, until it is stopped or has ended for good. Never rejects. */
async function keep(dir: string, part: Part, status: PartStatus, stop: AbortSignal): Promise<void> {
  let failures = 0
  let adopted = adopt(dir, part)
  while (!stop.aborted) {
    let code = 1
    let startedMs = performance.now()
    try {
      const running = adopted ?? (await begin(dir, part, status))
      if (!adopted) startedMs = performance.now()
      status.pid = running.pid
      status.error = null
      status.since = adopted?.since ?? Date.now()
      adopted = null
      void noticeReady(part, status, running, stop)
      const asked = new Promise<'asked'>((resolve) => {
        if (stop.aborted) resolve('asked')
        stop.addEventListener('abort', () => resolve('asked'), { once: true })
      })
      const outcome = await Promise.race([running.exited, asked])
      if (outcome === 'asked') {
        await end(running, part.stop)
        break
      }
      code = outcome
    } catch (error) {
      status.error = error instanceof Error ? error.message : String(error)
      log.error('part.not_started', { part: part.name, error: status.error })
    }
    removeRecord(dir, part.name)
    status.pid = null
    status.lastExitCode = code
    const ranMs = performance.now() - startedMs
    const fate = afterExit({ code, ranMs, failures, mayFinish: part.mayFinish })
    log.warn('part.ended', { part: part.name, code, ran_ms: Math.round(ranMs), fate: fate.kind })
    if (fate.kind !== 'restart') {
      status.state = fate.kind
      return
    }
    failures = fate.failures
    status.state = 'waiting'
    await sleep(fate.delayMs, stop)
    if (stop.aborted) break
    status.state = 'starting'
    status.restarts++
  }
  removeRecord(dir, part.name)
  Object.assign(status, { state: 'stopped', pid: null, since: null })
  log.info('part.stopped', { part: part.name })
}

/** A process of this part that outlived its supervisor: same pid, same start time, same command. */
function adopt(dir: string, part: Part): (Running & { since: number }) | null {
  const entry = livingRecords(dir).find((one) => one.name === part.name)
  if (!entry) return null
  if (part.mayFinish || entry.fingerprint !== fingerprintOf(part)) return null // `begin` ends it first
  log.info('part.adopted', { part: part.name, pid: entry.pid })
  // Its exit code can't be learnt, because it is not our child.
  const exited = (async () => {
    while (isAlive(entry)) await sleep(ADOPTED_POLL_MS)
    return 1
  })()
  return { pid: entry.pid, startedAt: entry.startedAt, since: entry.since, exited }
}

async function begin(dir: string, part: Part, status: PartStatus): Promise<Running> {
  const leftOver = livingRecords(dir).find((one) => one.name === part.name)
  if (leftOver) await end(leftOver, leftOver.stop)
  await part.prepare()
  const start = part.start()
  const running = launch(start, logFile(dir, part.name))
  const { name, layer, stop } = part
  const { pid, startedAt } = running
  writeRecord(dir, { name, layer, pid, startedAt, since: Date.now(), fingerprint: fingerprint(start), stop })
  log.info('part.started', { part: name, pid, restarts: status.restarts })
  return running
}

function fingerprintOf(part: Part): string | null {
  try {
    return fingerprint(part.start())
  } catch {
    return null
  }
}

async function noticeReady(part: Part, status: PartStatus, running: Running, stop: AbortSignal) {
  while (!stop.aborted && isAlive(running) && status.state === 'starting') {
    if (await part.ready()) {
      if (status.pid === running.pid && status.state === 'starting') status.state = 'running'
      return
    }
    await sleep(READY_POLL_MS, stop)
  }
}

export function logFile(dir: string, name: string): string {
  return join(dir, 'logs', `${name}.log`)
}
