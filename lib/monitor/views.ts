import type { AlertRow } from './questions/alerts.ts'
import { createChannel, type Channel } from './page/channel.ts'
import type { Incident } from './incident/incident.ts'
import { incidentPage } from './page/incidents.ts'
import { machinePage } from './page/machine.ts'
import { overview } from './page/overview.ts'
import { wall } from './page/wall.ts'
import { sensorPage } from './page/sensor.ts'
import type { Element } from './page/tree.ts'
import type { Section } from './section.ts'
import type { Snapshot } from './snapshot.ts'

/**
 * Live pages by name: `overview`, `machine:ID`, `sensor:ID`, `incident:ID`. All viewers of a name share one channel; of those that
 * nobody has asked for lately the oldest are forgotten.
 */
export interface Views {
  /** null: there is no live page of that name */
  get(name: string): Channel | null
  /** the part of a sensor's page that comes from the database, as of the newest visit */
  rememberAlarms(sensorId: string, alarms: Section<AlertRow[]>): void
}

const KEPT = 100

export function createViews(current: () => Snapshot, recent: () => Incident[], clock: () => number): Views {
  const channels = new Map<string, Channel>()
  const alarmsOf = new Map<string, Section<AlertRow[]>>()
  const none: Section<AlertRow[]> = { status: 'ok', as_of: null, error: null, data: null }

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
    const sensors = current().sensors.data ?? []
    if (kind === 'machine' && sensors.some((x) => x.machine_id === id))
      return () => machinePage(current(), id)
    if (kind === 'sensor' && sensors.some((x) => x.sensor_id === id)) {
      return () => sensorPage(current(), id, alarmsOf.get(id) ?? none)
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
      alarmsOf.delete(sensorId)
      alarmsOf.set(sensorId, alarms)
      forgetOldest(alarmsOf)
    },
  }
}

function forgetOldest(map: Map<string, unknown>): void {
  for (const key of map.keys()) {
    if (map.size <= KEPT) return
    map.delete(key)
  }
}
