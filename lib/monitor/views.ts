import type { Outlook } from './outlook.ts'
import type { AlertRow } from './questions/alerts.ts'
import { createChannel, type Channel } from './page/channel.ts'
import type { Incident } from './incident/incident.ts'
import type { ProductionLine } from './lines.ts'
import { incidentPage } from './page/incidents.ts'
import { linePage } from './page/line.ts'
import { machinePage } from './page/machine.ts'
import { overview } from './page/overview.ts'
import { nameOf } from './page/sections/lines.ts'
import { wall } from './page/wall.ts'
import { sensorPage } from './page/sensor.ts'
import type { Element } from './page/tree.ts'
import type { MachineRow } from './questions/machines.ts'
import { absent, type Section } from './section.ts'
import type { Snapshot } from './snapshot.ts'

/**
 * Live pages by name: `overview`, `machine:ID`, `sensor:ID`, `incident:ID`, `line:FACTORY/SENSOR/SODA`. All viewers of a name share one channel; of those that
 * nobody has asked for lately the oldest are forgotten.
 */
export interface Views {
  /** null: there is no live page of that name */
  get(name: string): Channel | null
  /** the part of a sensor's page that comes from the database, as of the newest visit */
  rememberAlarms(sensorId: string, alarms: Section<AlertRow[]>): void
  /** the condition of a machine as a whole, as of the newest visit */
  rememberCondition(machineId: string, condition: Section<MachineRow>): void
  /** where its sensors are going, by the name of the view */
  rememberOutlook(view: string, outlook: Section<Outlook[]>): void
  /** the same of a line's page, by the name of the view */
  rememberRounds(view: string, rounds: Section<ProductionLine[]>): void
}

const KEPT = 100

export function viewOfLine(line: Pick<ProductionLine, 'factory_id' | 'sensor_id' | 'soda_name'>): string {
  return `line:${nameOf(line)}`
}

export function createViews(current: () => Snapshot, recent: () => Incident[], clock: () => number): Views {
  const channels = new Map<string, Channel>()
  const alarmsOf = new Map<string, Section<AlertRow[]>>()
  const conditionOf = new Map<string, Section<MachineRow>>()
  const outlookOf = new Map<string, Section<Outlook[]>>()
  const roundsOf = new Map<string, Section<ProductionLine[]>>()

  const renderOf = (name: string): (() => Element) | null => {
    if (name === 'overview') return () => overview(current(), recent()[0])
    if (name === 'wall') return () => wall(current(), recent()[0])
    const [kind, id] = [name.slice(0, name.indexOf(':')), name.slice(name.indexOf(':') + 1)]
    if (kind === 'incident' && recent().some((i) => i.incident_id === id)) {
      return () => {
        const found = recent().find((i) => i.incident_id === id) ?? null
        return incidentPage(current(), { status: 'ok', as_of: current().at, error: null, data: found })
      }
    }
    const line = current().lines.data?.lines.find((l) => viewOfLine(l) === name)
    if (line) return () => linePage(current(), line, roundsOf.get(name) ?? absent())
    const sensors = current().sensors.data ?? []
    if (kind === 'machine' && sensors.some((x) => x.machine_id === id))
      return () =>
        machinePage(current(), id, conditionOf.get(id) ?? absent(), outlookOf.get(name) ?? absent())
    if (kind === 'sensor' && sensors.some((x) => x.sensor_id === id)) {
      return () => sensorPage(current(), id, alarmsOf.get(id) ?? absent(), outlookOf.get(name) ?? absent())
    }
    return null
  }
  return {
    get(name) {
      const known = channels.get(name)
      if (known) {
        channels.delete(name)
        channels.set(name, known)
        return known
      }
      const render = renderOf(name)
      if (!render) return null
      const fresh = createChannel(render, () => current().number, clock)
      channels.set(name, fresh)
      forgetOldest(channels)
      return fresh
    },
    rememberAlarms(sensorId, alarms) {
      keepNewest(alarmsOf, sensorId, alarms)
    },
    rememberCondition(machineId, condition) {
      keepNewest(conditionOf, machineId, condition)
    },
    rememberOutlook(view, outlook) {
      keepNewest(outlookOf, view, outlook)
    },
    rememberRounds(view, rounds) {
      keepNewest(roundsOf, view, rounds)
    },
  }
}

/** The newest last, and only so many. */
function keepNewest<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key)
  map.set(key, value)
  forgetOldest(map)
}

function forgetOldest(map: Map<string, unknown>): void {
  for (const key of map.keys()) {
    if (map.size <= KEPT) return
    map.delete(key)
  }
}
