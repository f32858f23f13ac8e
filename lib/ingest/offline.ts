import type { ClearedAlarm, RaisedAlarm } from '../alarm/alarm.ts'
import type { Rules } from '../alarm/rules.ts'
import type { Reading } from '../reading.ts'
import type { Micros } from '../time.ts'
import { judge } from './judge.ts'
import { createOutputs } from './outputs.ts'
import { overdue } from './overdue.ts'
import { createSensor, judgedBy, showNext, type SensorState } from './sensor.ts'

/** An alarm as a score or a backtest sees it. */
export interface Told {
  sensorId: string
  ruleId: string
  at: Micros
  clearedAt: Micros | null
  description: string
}

/** Which way a reading came. */
export interface Way {
  partition: number
  /** of its producer; null: it names none */
  runId: string | null
}

/** Somebody would be called silent: from when on, how long it may say nothing, how long we must have listened (µs). */
export interface Suspicion extends Way {
  from: Micros
  patience: Micros
  settle: Micros
}

/**
 * The consumer's own judgement of readings, without Kafka and PostgreSQL: what a rule book would have raised. Readings come
 * in order of time; silence is asked for as time goes by, a second apart as the consumer does, and `isHeld` may object.
 */
export interface Rehearsal {
  take(reading: Reading, way?: Way): void
  /** it is this late now: who should have spoken? */
  passed(now: Micros): void
  told(): Told[]
}

const NO_WAY: Way = { partition: 0, runId: null }
const CHECK_EVERY = 1e6

export function rehearse(
  rules: Rules,
  topic: string,
  isHeld: (suspicion: Suspicion, now: Micros) => boolean = () => false,
): Rehearsal {
  const sensors = new Map<string, SensorState>()
  const ways = new Map<string, Way>()
  let checkedAt = -Infinity
  const silent = new Map<string, Told>()
  const open = new Map<string, Told>()
  const all: Told[] = []
  const outputs = createOutputs()
  let offset = 0

  function tell(raised: RaisedAlarm, at: Micros): void {
    const told: Told = {
      sensorId: raised.sensor_id,
      ruleId: raised.rule_id,
      at,
      clearedAt: null,
      description: raised.description,
    }
    open.set(raised.alert_id, told)
    all.push(told)
  }

  function end(cleared: ClearedAlarm, at: Micros): void {
    const told = open.get(cleared.alert_id)
    if (told) told.clearedAt = at
    open.delete(cleared.alert_id)
  }

  return {
    take(reading, way = NO_WAY) {
      let sensor = sensors.get(reading.sensorId)
      if (!sensor) sensors.set(reading.sensorId, (sensor = createSensor(reading, 0)))
      if (reading.measuredAt < sensor.watermark) return
      const judged = judgedBy(sensor, rules, topic, () => {})
      const level = judged.levelOf(reading.value)
      const source = { topic, partition: 0, offset: offset++ }
      ways.set(reading.sensorId, way)
      sensor.watermark = reading.measuredAt
      showNext(sensor, reading)
      const sample = { at: reading.measuredAt, value: reading.value, quality: reading.quality }
      judge(
        sensor,
        judged,
        sample,
        judged.isOutOfRange(reading.value),
        () => ({ reading, level, source, detectedBy: 'offline' }),
        outputs,
      )
      for (const raised of outputs.raised.splice(0)) tell(raised, reading.measuredAt)
      for (const cleared of outputs.cleared.splice(0)) end(cleared, reading.measuredAt)
      const was = silent.get(reading.sensorId)
      if (was) was.clearedAt = reading.measuredAt
      silent.delete(reading.sensorId)
    },
    passed(now) {
      if (now - checkedAt < CHECK_EVERY) return
      checkedAt = now
      for (const [sensorId, sensor] of sensors) {
        if (silent.has(sensorId)) continue
        for (const { rule, from, patience } of overdue(sensor, now)) {
          const settle = rule.rule.settle * 1e6
          if (isHeld({ ...(ways.get(sensorId) ?? NO_WAY), from, patience, settle }, now)) continue
          const told = {
            sensorId,
            ruleId: rule.rule.id,
            at: now,
            clearedAt: null,
            description: `${sensorId}: silent`,
          }
          silent.set(sensorId, told)
          all.push(told)
        }
      }
    },
    told: () => all,
  }
}
