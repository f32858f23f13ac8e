import { ask, type Database, type Sql, type Transaction } from '../db/connect.ts'
import { log } from '../log.ts'
import { rest } from '../run.ts'
import { alarmId } from './id.ts'
import { endGroups, GROUP_RULE, holdNamed } from './group.ts'
import { returnToService } from './service.ts'
import { tell } from './tell.ts'
import { endWaits } from './wait.ts'

/**
 * What happens to alarms by the clock alone: a shelf that has reached its end is lifted, a sensor comes back into
 * service, an alarm that has waited for others of its machine calls, the alarm of a machine whose last member a person
 * has ended (latched ones are, by their acknowledgement) ends, a producer that is down is one alarm until it is heard
 * again. Every consumer looks; whoever is first does it, the others find it done.
 */
export interface CaretakerOptions {
  database: Database
  consumerId: string
  alertTopic: string
}

export const PRODUCER_RULE = 'producer.down'
const EVERY_MS = 2000
const BACKOFF_MS = 5000
/** ten beats of a producer's report */
const DOWN_AFTER = '10 seconds'
/** who has been gone for longer than this when we first look has been taken away, not failed */
const FORGOTTEN_AFTER = '10 minutes'

export async function runCaretaker(options: CaretakerOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const failed = await careOnce(options).then(
      () => null,
      (error: Error) => error,
    )
    if (failed && !signal.aborted) log.warn('alarms.not_cared_for', { error: failed })
    await rest(failed ? BACKOFF_MS : EVERY_MS, signal)
  }
}

export async function careOnce(options: CaretakerOptions): Promise<void> {
  const [due] = await ask('look for what time has brought', lookForDue(options.database.sql))
  if (due?.shelves) await liftShelves(options)
  if (due?.waits) await callThoseWhoWaited(options)
  if (due?.sensors) await returnSensors(options)
  if (due?.groups) await endEmptyGroups(options)
  if (due?.down) await raiseProducers(options)
  if (due?.back) await clearProducers(options)
}

/** One question of every look: mostly there is nothing to do. */
function lookForDue(sql: Sql) {
  return sql<
    { shelves: boolean; waits: boolean; sensors: boolean; groups: boolean; down: boolean; back: boolean }[]
  >`
    select coalesce((select min(shelved_until) from alerts
        where shelved_until is not null and (active or not acknowledged)) <= now(), false) as shelves,
      exists (select 1 from alerts where suppressed = 'waiting' and calls_at <= now()) as waits,
      exists (select 1 from out_of_service where until <= now()) as sensors,
      exists (${emptyGroups(sql)}) as groups,
      exists (${downProducers(sql)}) as down, exists (${backProducers(sql)}) as back`
}

async function liftShelves({ database, consumerId, alertTopic }: CaretakerOptions): Promise<void> {
  await ask(
    'lift shelves',
    database.sql.begin(async (tx) => {
      const lifted = await tx<{ alert_id: string }[]>`
        update alerts set shelved_until = null, updated_at = now(),
          suppressed = case when active then nullif(suppressed, 'shelved') else suppressed end
        where shelved_until <= now() and (active or not acknowledged) returning alert_id`
      await tell(
        tx,
        lifted.map((one) => one.alert_id),
        { transition: 'unshelved', actor: consumerId, reason: 'its time is over', alertTopic },
      )
    }),
  )
}

async function callThoseWhoWaited({ database, consumerId, alertTopic }: CaretakerOptions): Promise<void> {
  const reason = 'its machine has no alarm for all by now'
  await ask(
    'call for alarms that have waited',
    database.sql.begin((tx) => endWaits(tx, { actor: consumerId, reason, alertTopic })),
  )
}

async function returnSensors({ database, consumerId, alertTopic }: CaretakerOptions): Promise<void> {
  await ask(
    'return sensors to service',
    database.sql.begin((tx) => returnToService(tx, null, 'its time is over', { by: consumerId, alertTopic })),
  )
}

function emptyGroups(sql: Sql | Transaction) {
  return sql<{ alert_id: string; machine: string }[]>`
    select alert_id, location->>'machine_id' as machine from alerts g
    where active and rule_id = ${GROUP_RULE}
      and not exists (select 1 from alerts m where m.group_id = g.alert_id and m.active)`
}

async function endEmptyGroups({ database, alertTopic }: CaretakerOptions): Promise<void> {
  await ask(
    'end groups without members',
    database.sql.begin(async (tx) => {
      const empty = await emptyGroups(tx)
      await holdNamed(
        tx,
        empty.map((group) => group.machine),
      )
      await endGroups(
        tx,
        empty.map((group) => group.alert_id),
        alertTopic,
      )
    }),
  )
}

interface DownProducer {
  producer_id: string
  sensor_type: string | null
  status: string
  last_heartbeat: Date
  heartbeat_us: number
}

function downProducers(sql: Sql) {
  return sql<DownProducer[]>`
    select producer_id, sensor_type, status, last_heartbeat,
      round(extract(epoch from last_heartbeat) * 1e6)::float8 as heartbeat_us
    from producer_health p
    where status <> 'finished' and last_heartbeat < now() - ${DOWN_AFTER}::interval
      and last_heartbeat > now() - ${FORGOTTEN_AFTER}::interval
      and not exists (select 1 from alerts a where a.active and a.rule_id = ${PRODUCER_RULE} and a.sensor_id = p.producer_id)`
}

function backProducers(sql: Sql) {
  return sql<{ alert_id: string }[]>`
    select a.alert_id from alerts a left join producer_health p on p.producer_id = a.sensor_id
    where a.active and a.rule_id = ${PRODUCER_RULE}
      and (p.producer_id is null or p.status = 'finished'
        or p.last_heartbeat > now() - interval '3 seconds' and p.status not in ('stopped', 'failed'))`
}

async function raiseProducers({ database, consumerId, alertTopic }: CaretakerOptions): Promise<void> {
  const down = await ask('look for producers that are down', downProducers(database.sql))
  for (const producer of down) {
    const source = { topic: 'producer_health', partition: 0, offset: producer.heartbeat_us }
    const id = alarmId(PRODUCER_RULE, producer.producer_id, source)
    const meant = producer.status === 'stopped'
    const description = meant
      ? `Producer ${producer.producer_id} was stopped at ${producer.last_heartbeat.toISOString()}: none of its sensors is seen`
      : `Producer ${producer.producer_id} has not been heard since ${producer.last_heartbeat.toISOString()} (it was ${producer.status}): none of its sensors is seen`
    const why = {
      part: 'silence',
      rule: { id: PRODUCER_RULE, version: 0 },
      explanation: description,
      response: 'Start it again; what it has accepted is in its spool',
      source,
    }
    await ask(
      'raise the alarm of a producer',
      database.sql.begin(async (tx) => {
        const made = await tx`
          insert into alerts (alert_id, "timestamp", sensor_id, sensor_type, anomaly_type, severity, sensor_unit,
            sensor_alert_level, location, detected_by, description, rule_id, rule_version, why, topic, partition, "offset")
          values (${id}, now(), ${producer.producer_id}, 'producer', 'producer_down', ${meant ? 'low' : 'high'}, '', 'normal',
            '{"factory_section":"","machine_id":"","zone":""}', ${consumerId}, ${description}, ${PRODUCER_RULE}, 0,
            ${JSON.stringify(why)}::text::jsonb, ${source.topic}, 0, ${source.offset})
          on conflict (alert_id) do nothing returning 1`
        if (made.length > 0)
          await tell(tx, [id], { transition: 'raised', actor: consumerId, reason: description, alertTopic })
      }),
    )
  }
}

async function clearProducers({ database, consumerId, alertTopic }: CaretakerOptions): Promise<void> {
  const back = await ask('look for producers that are back', backProducers(database.sql))
  for (const { alert_id } of back)
    await ask(
      'clear the alarm of a producer',
      database.sql.begin(async (tx) => {
        const done = await tx`update alerts set active = false, cleared_at = now(), updated_at = now()
          where alert_id = ${alert_id} and active returning 1`
        if (done.length > 0)
          await tell(tx, [alert_id], {
            transition: 'cleared',
            actor: consumerId,
            reason: 'it is heard again',
            alertTopic,
          })
      }),
    )
}
