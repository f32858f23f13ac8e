import type { Evidence } from './evidence.ts'
import type { Finding } from './finding.ts'
import { judgeAlarms } from './invariants/alarms.ts'
import { judgeApi } from './invariants/api.ts'
import { judgeGroup } from './invariants/group.ts'
import { judgeLetters } from './invariants/letters.ts'
import { judgeLog } from './invariants/log.ts'
import { judgePositions } from './invariants/positions.ts'
import { judgeProcesses } from './invariants/processes.ts'
import { judgeReadings } from './invariants/readings.ts'

export interface Verdict {
  verdict: 'held' | 'violated'
  readings: { accepted: number; in_log: number; acknowledged: number; stored: number; dead_lettered: number }
  faults: number
  invariants: Finding[]
}

/** The invariants that do not hold; empty where all that could be looked at held. */
export function violatedIn(verdict: Verdict): string[] {
  return verdict.invariants.filter((i) => i.verdict === 'violated').map((i) => i.id)
}

export function judge(e: Evidence): Verdict {
  const invariants = [
    judgeReadings,
    judgeLog,
    judgePositions,
    judgeAlarms,
    judgeLetters,
    judgeGroup,
    judgeApi,
    judgeProcesses,
  ].flatMap((part) => part(e))
  const accepted = (e.accepted ?? []).filter((a) => a.given_up === null)
  return {
    verdict: invariants.some((i) => i.verdict === 'violated') ? 'violated' : 'held',
    readings: {
      accepted: accepted.reduce((sum, a) => sum + a.prints.length, 0),
      in_log: e.log.length,
      acknowledged: (e.sends ?? [])
        .filter((s) => s.outcome === 'acked')
        .reduce((sum, s) => sum + s.messages.length, 0),
      stored: e.tables.rows.length,
      dead_lettered: e.tables.letters.length,
    },
    faults: e.faults.length,
    invariants,
  }
}
