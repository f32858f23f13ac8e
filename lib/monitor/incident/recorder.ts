import type { Sql } from '../../db/connect.ts'
import { log } from '../../log.ts'
import { ledgerText } from './cost.ts'
import type { Ledger } from './ledger.ts'
import { createWatch, observeIncident, type Incident } from './incident.ts'
import { closeForgotten, keepIncident } from '../questions/incidents.ts'
import { keepFlowPoint } from '../questions/flow.ts'
import type { Snapshot } from '../snapshot.ts'

/**
 * Writes down what the monitor saw: incidents as they go on, and a point of the flow every half minute. While
 * PostgreSQL is away (which is an incident itself) they wait here, a bounded number of them.
 */
export interface Recorder {
  observe(snapshot: Snapshot): void
  /** the newest incidents of this process, newest first: also those that could not be written yet */
  recent(): Incident[]
}

const KEPT = 20
const KEEP_EVERY_MS = 30_000

export function createRecorder(
  sql: () => Sql,
  ledger: Ledger | null = null,
  newId: () => string = Bun.randomUUIDv7,
): Recorder {
  const watch = createWatch()
  const recent: Incident[] = []
  const unwritten = new Map<string, Incident>()
  let before: Snapshot | null = null
  let writing = false
  let keptAt = 0
  let flowAt = 0
  let isTidy = false

  async function write(): Promise<void> {
    if (writing) return
    writing = true
    try {
      if (!isTidy) {
        await closeForgotten(sql(), watch.open?.incident.incident_id ?? null)
        isTidy = true
      }
      for (const [id, incident] of unwritten) {
        const shown = JSON.stringify(incident)
        await keepIncident(sql(), incident)
        // It may have gone on meanwhile: then it is written again.
        if (JSON.stringify(incident) === shown) unwritten.delete(id)
      }
    } catch (error) {
      log.debug('incident.not_written', { error })
    } finally {
      writing = false
    }
  }

  /** Incidents that are over and for which the ledger has not been asked; asked one at a time. */
  let toAsk: Incident[] = []
  let asking = false
  let lostBefore = 0
  async function askLedger(): Promise<void> {
    if (ledger === null || asking || toAsk.length === 0) return
    asking = true
    const asked = toAsk.splice(0)
    const lost = await ledger.lost().catch(() => null)
    asking = false
    if (lost === null) return
    for (const incident of asked) {
      // What is newly lost belongs to the last of them: nothing better is known.
      incident.cost.readings_lost = incident === asked.at(-1) ? Math.max(0, lost - lostBefore) : 0
      const at = new Date().toISOString()
      const text = ledgerText(incident.cost.readings_lost)
      incident.steps.push({ at, kind: 'ledger', subject: 'all', text })
      unwritten.set(incident.incident_id, incident)
    }
    lostBefore = lost
  }

  return {
    recent: () => recent.slice(),
    observe(snapshot) {
      const changed = observeIncident(watch, before, snapshot, newId)
      before = snapshot
      if (changed) {
        if (!recent.includes(changed)) {
          recent.unshift(changed)
          if (recent.length > KEPT) recent.pop()
          log.info('incident.opened', { id: changed.incident_id, title: changed.title })
        }
        if (changed.closed_at !== null) {
          toAsk.push(changed)
          log.info('incident.closed', { id: changed.incident_id, title: changed.title, ...changed.cost })
        }
        unwritten.set(changed.incident_id, changed)
      }
      const now = Date.parse(snapshot.at)
      if (snapshot.consumers.status === 'error') return
      void askLedger()
      if (now - keptAt >= KEEP_EVERY_MS) {
        keptAt = now
        isTidy = false
        // written again though nothing new happened: it is not forgotten
        if (watch.open) unwritten.set(watch.open.incident.incident_id, watch.open.incident)
      }
      if (unwritten.size > 0 || !isTidy) void write()
      const flow = snapshot.flow.data
      if (flow && now - flowAt >= KEEP_EVERY_MS) {
        flowAt = now
        keepFlowPoint(sql(), snapshot.at, flow).catch((error: unknown) =>
          log.debug('flow.not_written', { error }),
        )
      }
    },
  }
}
