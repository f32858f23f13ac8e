import type { Sql } from '../../lib/db/connect.ts'

/** Rows as producers and consumers would leave them, for the monitor's tests: one plant in ordinary life. */
export interface PlantOptions {
  sensors?: number
  consumers?: number
  /** seconds since the last heartbeat of everybody */
  heartbeatAgeS?: number
}

const TYPES = [
  ['temperature', '°C', 27.4],
  ['vibration', 'mm/s', 2.1],
  ['energy', 'kW', 104],
  ['humidity', '%', 46],
  ['pressure', 'hPa', 1013.6],
] as const

export async function fillPlant(sql: Sql, options: PlantOptions = {}): Promise<void> {
  const { sensors = 15, consumers = 3, heartbeatAgeS = 0 } = options
  for (let i = 1; i <= consumers; i++) {
    await sql`
      insert into consumer_health ${sql({
        consumer_id: `consumer-${i}`,
        instance_id: crypto.randomUUID(),
        status: i <= 3 ? 'active' : 'standby',
        assigned_partitions: sql.json(i <= 3 ? [{ topic: 'sensor-data', partition: i - 1 }] : []),
        host: 'host-a',
        pid: 100 + i,
        total_messages_processed: 1000 * i,
        processing_ms_mean: 3.2,
        processing_ms_p99: 9.5,
        end_to_end_ms_p50: 41,
        end_to_end_ms_p99: 130,
      })}
      on conflict (consumer_id) do update set last_heartbeat = now(), total_messages_processed = excluded.total_messages_processed`
  }
  await sql`update consumer_health set last_heartbeat = now() - make_interval(secs => ${heartbeatAgeS})`
  await sql`
    insert into producer_health ${sql({
      producer_id: 'plant',
      run_id: 'run-a',
      fleet: 'factory',
      sensor_type: null,
      status: 'active',
      host: 'host-a',
      pid: 90,
      total_messages_accepted: 6010,
      total_messages_sent: 6000,
      spooled: 10,
      expected_per_second: 4.1,
      kafka_reachable: true,
    })} on conflict (producer_id) do update set last_heartbeat = now()`
  await sql`update producer_health set last_heartbeat = now() - make_interval(secs => ${heartbeatAgeS})`
  await sql`insert into topics (topic) values ('sensor-data') on conflict do nothing`
  for (let p = 0; p < 3; p++) {
    await sql`
      insert into partition_progress ${sql({
        cluster_id: 'cluster-a',
        topic: 'sensor-data',
        partition: p,
        next_offset: 2000 + p,
        epoch: 3,
        owner: `consumer-${p + 1}`,
        claimed_at: new Date(Date.now() - 600_000),
        newest_measured_at: new Date(),
        stored: 2000 + p,
        repeated: p,
      })} on conflict (cluster_id, topic, partition) do update set next_offset = excluded.next_offset, updated_at = now()`
  }
  for (let i = 0; i < sensors; i++) await fillSensor(sql, i)
}

async function fillSensor(sql: Sql, i: number): Promise<void> {
  const [type, unit, value] = TYPES[i % TYPES.length]!
  const n = String(Math.floor(i / TYPES.length) + 1).padStart(3, '0')
  const id = `${type === 'temperature' ? 'temp' : type}-sensor-${n}`
  const [row] = await sql`
    insert into sensors ${sql({
      sensor_id: id,
      sensor_type: type,
      unit,
      factory_section: 'production',
      machine_id: `machine-${n}`,
      zone: `zone-${'abc'[i % 3]}`,
      warning_threshold: value * 1.4,
      critical_threshold: value * 1.6,
    })} returning sensor_key`
  await sql`
    insert into sensor_latest ${sql({
      sensor_id: id,
      sensor_key: row!.sensor_key,
      measured_at: new Date(),
      value,
      level: 0,
      quality: 1,
      flags: 0,
      topic_key: 1,
      partition: i % 3,
      offset: 100 + i,
      readings: 100,
    })}`
}

export async function raiseAlarm(sql: Sql, over: Record<string, unknown> = {}): Promise<string> {
  const id = crypto.randomUUID()
  await sql`
    insert into alerts ${sql({
      alert_id: id,
      timestamp: new Date(),
      sensor_id: 'temp-sensor-001',
      sensor_type: 'temperature',
      anomaly_type: 'critical_threshold_violation',
      severity: 'critical',
      sensor_value: 42.48,
      sensor_unit: '°C',
      sensor_alert_level: 'critical',
      location: sql.json({ factory_section: 'production', machine_id: 'machine-001', zone: 'zone-a' }),
      detected_by: 'consumer-1',
      description: '42.48 °C is above the critical limit of 40 °C',
      rule_id: 'limit.temperature',
      rule_version: 1,
      why: sql.json({ limit: 40, last: [] }),
      topic: 'sensor-data',
      partition: 0,
      offset: 123,
      ...over,
    })}`
  return id
}

export async function tellRebalance(sql: Sql, over: Record<string, unknown> = {}): Promise<void> {
  await sql`
    insert into rebalancing_events ${sql({
      group_id: 'sensor-processors',
      consumer_id: 'consumer-1',
      instance_id: crypto.randomUUID(),
      event_type: 'rebalance_complete',
      generation: 4,
      assigned: sql.json([{ topic: 'sensor-data', partition: 0 }]),
      gained: sql.json([{ topic: 'sensor-data', partition: 0 }]),
      lost: sql.json([]),
      duration_ms: 812.4,
      ...over,
    })}`
}
