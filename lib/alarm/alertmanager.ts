import { ask, type Database } from '../db/connect.ts'
import { post, type Channel } from './channel.ts'

/**
 * Alertmanager's API v2 (POST /api/v2/alerts). An alarm is one alert: the labels make its identity and stay the same from
 * raise to clear. Alertmanager forgets what is not repeated (resolve_timeout, 5 minutes by default), so all open alarms
 * that call somebody are told again every half minute, with an end that lies four minutes ahead: that tells of those, too,
 * that call again after a shelf or out of service.
 */
export function alertmanager(url: string, monitoringPort: number): Channel {
  const target = `${url.replace(/\/+$/, '')}/api/v2/alerts`
  const link = (id: string) => `http://localhost:${monitoringPort}/alarms/${id}`
  return {
    name: 'alertmanager',
    async send({ alert_id, payload }, signal) {
      const state = String(payload.state)
      const begins = state === 'raised'
      if (!begins && !QUIET_FROM.has(state)) return
      const alert = {
        labels: labelsOf(alert_id, payload),
        annotations: { summary: String(payload.description ?? '') },
        // without a beginning it has that of the alert that Alertmanager knows
        ...(begins ? { startsAt: new Date(String(payload.timestamp)).toISOString() } : {}),
        endsAt: new Date(begins ? Date.now() + HOLDS_MS : Date.now()).toISOString(),
        generatorURL: link(alert_id),
      }
      await post(target, JSON.stringify([alert]), {}, signal)
    },
    async repeat(database, signal) {
      const open = await openAlarms(database)
      if (open.length === 0) return
      const alerts = open.map((a) => ({
        labels: labelsOf(String(a.alert_id), { ...a, rule: { id: a.rule_id } }),
        annotations: { summary: String(a.description) },
        startsAt: String(a.started),
        endsAt: new Date(Date.now() + HOLDS_MS).toISOString(),
        generatorURL: link(String(a.alert_id)),
      }))
      await post(target, JSON.stringify(alerts), {}, signal)
    },
  }
}

/** Transitions from which on nobody is called for an alarm. */
const QUIET_FROM = new Set(['cleared', 'shelved', 'out_of_service'])
const HOLDS_MS = 240_000
/** more open alarms than anybody can look at are not repeated */
const MOST = 1000

function labelsOf(alertId: string, a: Record<string, unknown>): Record<string, string> {
  const location = (a.location ?? {}) as Record<string, unknown>
  const rule = (a.rule ?? {}) as Record<string, unknown>
  return {
    alertname: String(a.anomaly_type),
    alert_id: alertId,
    sensor_id: String(a.sensor_id),
    sensor_type: String(a.sensor_type),
    severity: String(a.severity),
    rule: String(rule.id ?? ''),
    factory_section: String(location.factory_section ?? ''),
    machine_id: String(location.machine_id ?? ''),
    zone: String(location.zone ?? ''),
  }
}

async function openAlarms(database: Database): Promise<Record<string, unknown>[]> {
  return ask(
    'read the open alarms',
    database.sql`
      select alert_id, sensor_id, sensor_type, anomaly_type, severity, description, location, rule_id,
        to_char("timestamp" at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as started
      from alerts where active and suppressed is null and (shelved_until is null or shelved_until < now())
      order by "timestamp" desc limit ${MOST}`,
  )
}
