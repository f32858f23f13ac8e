import { alarmId } from '../alarm/id.ts'
import { explain } from '../detect/explain.ts'
import { locationOf, type ClearedAlarm, type RaisedAlarm } from '../alarm/alarm.ts'
import { silenceOf as ruleOf } from '../alarm/bind.ts'
import { limitsInForce, whyOf } from '../alarm/why.ts'
import { ask, type Database, type Sql } from '../db/connect.ts'
import { silenceOf } from '../detect/silence.ts'
import { hasFinished } from '../line.ts'
import { LEVELS } from '../reading.ts'
import { formatMicros, type Micros } from '../time.ts'
import { isHeld, overdue, type Overdue, type ProducerSeen } from './overdue.ts'
import type { PartitionState } from './partition.ts'
import type { SensorState } from './sensor.ts'
import { storeTransitions, type Position } from './store.ts'

/**
 * Sensors that have stopped. Their rhythm is learnt from the log like any detector's state; that it is broken is found by
 * the wall clock, so it is no function of the log: the alarm's id comes from the rule, the sensor and the last offset
 * seen, and it is written in a transaction of its own under the partition's fence. The next reading clears it.
 *
 * Nobody is called silent while this consumer settles or lags, nor when the producer was not heard after the moment at
 * which the sensor should have spoken (it is down: one alarm for it), started too short a while ago for the sensor to have
 * spoken since, keeps unsent readings, or has finished. A backtest asks the same of the past (hindsight.ts).
 */
export interface SilenceWatch {
  /** the partition is ours: which silences are open? */
  claimed(): Promise<void>
  /** raises and clears what is due */
  check(state: PartitionState, guard: Position): Promise<void>
}

export interface SilenceOptions {
  database: Database
  clusterId: string
  topic: string
  partition: number
  consumerId: string
  alertTopic: string
  /** milliseconds since 1970 */
  now: () => number
}

interface Silent {
  alertId: string
  sensorId: string
  ruleId: string
  ruleVersion: number
  anomalyType: string
  severity: string
  /** event time of the last reading before it */
  lastAt: Micros
}

interface Candidate extends Overdue {
  sensor: SensorState
}

const CHECK_EVERY_MS = 1000
/** Each check looks at so many sensors and goes on with the others at the next: however many there are, it takes milliseconds. */
const SENSORS_A_CHECK = 5000
/** … and raises or clears so many alarms at most: one transaction, for which the batches wait */
const ALARMS_A_CHECK = 500

export function createSilenceWatch(options: SilenceOptions): SilenceWatch {
  const { database, topic, partition } = options
  let silent = new Map<string, Silent>()
  let claimedAt = 0
  let checkedAt = 0
  /** the sensors that this round has not looked at yet */
  let round: Iterator<SensorState> | null = null
  /** by which rule book it was last asked whether the rules of open silences still stand */
  let askedBook = -1

  return {
    async claimed() {
      claimedAt = options.now()
      round = null
      askedBook = -1
      const rows = await ask(
        'read which sensors are silent',
        database.sql<(Omit<Silent, 'lastAt'> & { last_us: number })[]>`
          select alert_id as "alertId", sensor_id as "sensorId", rule_id as "ruleId", rule_version as "ruleVersion",
            anomaly_type as "anomalyType", severity, coalesce((why->>'last_us')::float8, 0) as last_us
          from alerts where active and topic = ${topic} and partition = ${partition} and why->>'part' = 'silence'`,
      )
      silent = new Map(rows.map(({ last_us, ...row }) => [row.sensorId, { ...row, lastAt: last_us }]))
    },

    async check(state, guard) {
      const nowMs = options.now()
      if (nowMs - checkedAt < CHECK_EVERY_MS) return
      checkedAt = nowMs
      const now = nowMs * 1000
      const cleared = clearThoseBack(state)
      const waiting = candidates(nextOf(state), now, nowMs - claimedAt)
      const free = waiting.length === 0 ? [] : await withoutHeld(database.sql, waiting, now)
      const told = free.slice(0, ALARMS_A_CHECK) // the next round finds the others
      const raised = told.map((c) => raise(c, now))
      if (raised.length === 0 && cleared.length === 0) return
      await storeTransitions(
        database.sql,
        guard,
        raised,
        cleared,
        options.alertTopic,
        state.rules.book.groups,
      )
      for (const { alert_id, raised: of } of cleared)
        if (silent.get(of.sensor_id)?.alertId === alert_id) silent.delete(of.sensor_id)
      for (const [i, alarm] of raised.entries()) {
        const sensor = told[i]?.sensor
        if (sensor) silent.set(sensor.reading.sensorId, remembered(alarm, sensor.watermark))
      }
    },
  }

  function* nextOf(state: PartitionState): Iterable<SensorState> {
    for (let n = 0; n < SENSORS_A_CHECK; n++) {
      round ??= state.sensors.values()
      const { value, done } = round.next()
      if (done) return void (round = null)
      yield value
    }
  }

  /** Sensors that by their own rhythm should have spoken. */
  function candidates(sensors: Iterable<SensorState>, now: Micros, settledMs: number): Candidate[] {
    const found: Candidate[] = []
    for (const sensor of sensors) {
      if (silent.has(sensor.reading.sensorId) || hasFinished(sensor.reading)) continue
      for (const o of overdue(sensor, now)) {
        if (settledMs >= o.rule.rule.settle * 1000) found.push({ ...o, sensor })
      }
    }
    return found
  }

  function clearThoseBack(state: PartitionState): ClearedAlarm[] {
    const cleared: ClearedAlarm[] = []
    const isNewBook = askedBook !== state.rules.version
    for (const s of silent.values()) {
      if (cleared.length >= ALARMS_A_CHECK) return cleared
      cleared.push(...clearIfBack(s, state, isNewBook))
    }
    askedBook = state.rules.version
    return cleared
  }

  function raise({ sensor, rule, rhythm, recent }: Candidate, now: Micros): RaisedAlarm {
    const { reading } = sensor
    const source = { topic, partition, offset: sensor.offset }
    const verdict = silenceOf(rhythm, now, ruleOf(rule.rule), false)
    const said = explain(verdict, reading.value, reading.unit)
    return {
      alert_id: alarmId(rule.rule.id, reading.sensorId, source),
      timestamp: formatMicros(Math.round(now)),
      sensor_id: reading.sensorId,
      sensor_type: reading.sensorType,
      anomaly_type: rule.rule.anomaly_type,
      severity: rule.rule.severity,
      sensor_value: reading.value,
      sensor_unit: reading.unit,
      sensor_alert_level: LEVELS[sensor.level] ?? 'normal',
      location: locationOf(reading),
      detected_by: options.consumerId,
      description: `${reading.sensorId}: ${said}`,
      rule_id: rule.rule.id,
      rule_version: rule.version,
      why: {
        ...whyOf({
          rule: rule.rule,
          version: rule.version,
          verdict,
          said,
          limits: limitsInForce(sensor.judged?.bound ?? []),
          recent,
          source,
        }),
        last_reading_at: formatMicros(sensor.watermark),
        last_us: sensor.watermark,
      },
      late: false,
      latching: rule.rule.latching,
      ...source,
    }
  }

  function clearIfBack(s: Silent, state: PartitionState, isNewBook: boolean): ClearedAlarm[] {
    const sensor = state.sensors.get(s.sensorId)
    if (!sensor) return []
    const isBack = sensor.watermark > s.lastAt
    const gone =
      (isBack || isNewBook) &&
      !state.rules.of(topic, sensor.described).bound.some((b) => b.rule.id === s.ruleId)
    if (!isBack && !gone) return []
    const { reading } = sensor
    return [
      {
        alert_id: s.alertId,
        cleared_at: formatMicros(gone ? Math.round(options.now() * 1000) : sensor.watermark),
        cleared_offset: sensor.offset,
        peak_value: reading.value,
        raised: {
          sensor_id: s.sensorId,
          sensor_type: reading.sensorType,
          anomaly_type: s.anomalyType,
          severity: s.severity,
          rule_id: s.ruleId,
          rule_version: s.ruleVersion,
          location: locationOf(reading),
        },
        sensor_value: reading.value,
        sensor_unit: reading.unit,
        sensor_alert_level: LEVELS[sensor.level] ?? 'normal',
        description: gone
          ? `${s.sensorId}: rule ${s.ruleId} is no longer in force`
          : `${s.sensorId} speaks again`,
        detected_by: options.consumerId,
        source: { topic, partition, offset: sensor.offset },
      },
    ]
  }
}

function remembered(alarm: RaisedAlarm, lastAt: Micros): Silent {
  return {
    alertId: alarm.alert_id,
    sensorId: alarm.sensor_id,
    ruleId: alarm.rule_id,
    ruleVersion: alarm.rule_version,
    anomalyType: alarm.anomaly_type,
    severity: alarm.severity,
    lastAt,
  }
}

async function withoutHeld(sql: Sql, waiting: Candidate[], now: Micros): Promise<Candidate[]> {
  const rows = await ask(
    'ask how the producers are',
    sql<(ProducerSeen & { run_id: string })[]>`
      select run_id, status, extract(epoch from last_heartbeat)::float8 * 1e6 as heartbeat_us,
        extract(epoch from started_at)::float8 * 1e6 as started_us,
        case when spooled > 0 then extract(epoch from oldest_spooled_at)::float8 * 1e6 end as spooled_us
      from producer_health`,
  )
  const producers = new Map(rows.map((row) => [row.run_id, row]))
  return waiting.filter((c) => !isHeld(c, producers.get(c.sensor.runId ?? ''), now))
}
