import { z } from 'zod'
import type { Sql } from '../../db/connect.ts'
import { inService, outOfService } from '../acts/service.ts'
import * as answers from '../answers/sensors.ts'
import { nameParameter, numberOf, plainText } from '../cursor.ts'
import { endpoint, type AnyEndpoint } from '../endpoint.ts'
import { Problem } from '../problem.ts'
import type { Snapshot } from '../snapshot.ts'
import { actorOf } from '../who/identity.ts'
import type { Write } from '../write.ts'
import { actor } from './alarms.ts'

export interface ServiceOptions {
  current: () => Snapshot
  sql: () => Sql
  write: Write
  clock: () => number
  alertTopic: string
}

const params = z.object({ sensor_id: nameParameter })
/** Ninety days: what is out for longer is to be taken away. */
const MOST_MINUTES = 90 * 24 * 60
const minutes = numberOf(
  z.number().int().min(1).max(MOST_MINUTES),
  `must be whole minutes, from 1 to ${MOST_MINUTES}`,
)

/** Sensors out of service: while somebody repairs one, nobody is called for it. */
export function serviceEndpoints({ current, sql, write, clock, alertTopic }: ServiceOptions): AnyEndpoint[] {
  const mustExist = (sensorId: string) => {
    const { data } = current().sensors
    if (data !== null && !data.some((x) => x.sensor_id === sensorId))
      throw new Problem(404, 'Not found', 'No reading of that sensor was ever stored')
  }
  return [
    endpoint({
      method: 'get',
      path: '/api/out-of-service',
      tag: 'sensors',
      summary: 'Sensors for which nobody is called: until when, by whom, why',
      answer: answers.outOfService,
      handle() {
        const { status, as_of, error, data } = current().alerts
        return { status, as_of, error, sensors: data?.outOfService ?? [] }
      },
    }),
    endpoint({
      method: 'post',
      role: 'operator',
      path: '/api/sensors/:sensor_id/out-of-service',
      tag: 'sensors',
      summary: 'Call nobody for this sensor until an end, for a reason; it is judged and stored as ever',
      params,
      body: z.strictObject({
        minutes,
        reason: plainText(500).min(1),
        by: actor,
      }),
      answer: answers.inService,
      async handle({ params: { sensor_id }, body, c }) {
        mustExist(sensor_id)
        const until = new Date(clock() + body.minutes * 60_000)
        const act = { by: actorOf(c, body.by), alertTopic }
        await write(() => outOfService(sql(), sensor_id, until, body.reason, act))
        return { sensor_id, in_service: false, changed: true }
      },
    }),
    endpoint({
      method: 'post',
      role: 'operator',
      path: '/api/sensors/:sensor_id/in-service',
      tag: 'sensors',
      summary: 'Back in service before its time',
      params,
      body: z.strictObject({ reason: plainText(500).optional(), by: actor }),
      answer: answers.inService,
      async handle({ params: { sensor_id }, body, c }) {
        const act = { by: actorOf(c, body.by), alertTopic }
        const changed = await write(() => inService(sql(), sensor_id, body.reason ?? null, act))
        return { sensor_id, in_service: true, changed }
      },
    }),
  ]
}
