import { ask, type Sql } from '../../db/connect.ts'

export interface AlarmKpis {
  observed_since: string | null
  raised: number
  per_ten_minutes_mean: number | null
  per_ten_minutes_peak: number
  /** share of ten-minute periods with more than ten alarms */
  flood_share: number | null
  chattering: { sensor_id: string; rule_id: string; raised: number }[]
  standing: number
  top: { sensor_id: string; rule_id: string; raised: number }[]
  priorities: { low: number; medium: number; high: number; critical: number }
  median_seconds_to_acknowledge: number | null
}

/** 5 s: the journal of thirty days may be long; the answer is kept for half a minute. */
const SLOW_MS = 5000

/**
 * How well the alarm system serves a person, after ISA-18.2 / EEMUA 191, over at most thirty days: rate, floods (> 10 in
 * ten minutes), chattering (≥ 3 raises within a minute), standing alarms (> 24 h), the worst offenders. What was shelved,
 * out of service or told as one alarm of its machine called nobody: it is no load, but it may chatter and offend.
 */
export async function alarmKpis(sql: Sql): Promise<AlarmKpis> {
  const [row] = await ask(
    'read the figures of the alarm system',
    sql<AlarmKpis[]>`
      with raises as materialized (
        select a."timestamp" as at, a.sensor_id, a.rule_id, a.severity, a.called or a.suppressed is null as called
        from alerts a where a.created_at > now() - interval '30 days' and not a.late
      ),
      span as (select min(at) as since, greatest(extract(epoch from now() - min(at)), 600) / 600 as periods from raises),
      periods as (select date_bin('10 minutes', at, timestamptz 'epoch') as period, count(*) as raised from raises where called group by 1),
      pairs as (
        select sensor_id, rule_id,
          at - lag(at, 2) over (partition by sensor_id, rule_id order by at) <= interval '1 minute' as third_in_a_minute
        from raises
      ),
      offenders as (select sensor_id, rule_id, count(*)::int as raised from raises group by 1, 2)
      select
        to_char((select since from span) at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as observed_since,
        (select count(*)::int from raises where called) as raised,
        ((select count(*) from raises where called) / (select periods from span))::float8 as per_ten_minutes_mean,
        (select coalesce(max(raised), 0)::int from periods) as per_ten_minutes_peak,
        ((select count(*) from periods where raised > 10) / (select periods from span))::float8 as flood_share,
        (select coalesce(jsonb_agg(o order by o.raised desc), '[]') from (
          select sensor_id, rule_id, count(*)::int as raised from pairs where third_in_a_minute group by 1, 2
          order by 3 desc limit 10) o) as chattering,
        (select count(*)::int from alerts where active and "timestamp" < now() - interval '24 hours') as standing,
        (select coalesce(jsonb_agg(o order by o.raised desc), '[]') from (select * from offenders order by raised desc limit 10) o) as top,
        (select jsonb_build_object(
          'low', count(*) filter (where severity = 'low'), 'medium', count(*) filter (where severity = 'medium'),
          'high', count(*) filter (where severity = 'high'), 'critical', count(*) filter (where severity = 'critical'))
          from raises where called) as priorities,
        (select percentile_cont(0.5) within group (order by extract(epoch from acknowledged_at - created_at))
          from alerts where acknowledged_at > now() - interval '30 days')::float8 as median_seconds_to_acknowledge`,
    SLOW_MS,
  )
  if (!row) throw new Error('Cannot read the figures of the alarm system: no row came back')
  return row
}
