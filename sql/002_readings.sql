-- Every accepted reading, once. Narrow, without a unique index: the compare-and-set on partition_progress already keeps
-- a batch from being written twice, and an index here would halve the COPY rate.
-- Daily partitions by arrival (UTC): made ahead, dropped whole by retention.

create table readings (
  received_at timestamptz not null default now(),
  measured_at timestamptz not null,
  value double precision not null constraint value_is_finite check (value between -1e16 and 1e16),
  "offset" bigint not null,
  seq bigint,
  sensor_key integer not null,
  run_key integer,
  quality real not null constraint quality_is_a_share check (quality between 0 and 1),
  -- bits, see lib/ingest/flags.ts: late, clock, out of range, filled gap, history …
  flags integer not null default 0,
  partition smallint not null,
  topic_key smallint not null,
  -- 0 normal, 1 warning, 2 critical: by our limits, and as the producer claimed
  level smallint not null,
  claimed_level smallint,
  -- what came beyond the standard fields
  metadata jsonb
) partition by range (received_at);

-- answers: what came in between two moments of arrival
create index readings_by_arrival on readings using brin (received_at) with (pages_per_range = 16);

-- Partitions are built beside the table and then attached: CREATE … PARTITION OF would lock out the writers.
create function ensure_reading_partitions(days_ahead integer) returns integer
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  first_day date := (now() at time zone 'utc')::date - 1;
  day date;
  name text;
  made integer := 0;
begin
  for day in select generate_series(first_day, first_day + 1 + days_ahead, interval '1 day')::date loop
    name := 'readings_' || to_char(day, 'YYYYMMDD');
    if to_regclass(name) is null then
      perform pg_advisory_xact_lock(hashtext('reading partitions'));
      if to_regclass(name) is null then
        execute format('create table %I (like readings including defaults including constraints)', name);
        execute format('alter table readings attach partition %I for values from (%L) to (%L)',
          name, day::text || ' 00:00:00+00', (day + 1)::text || ' 00:00:00+00');
        made := made + 1;
      end if;
    end if;
  end loop;
  return made;
end $$;

-- Drops the partitions whose last day is older than keep_days; what is dropped is remembered, so that the ledger can
-- tell retired from lost.
create table retired_readings (
  partition_name text primary key,
  readings bigint not null,
  received_before timestamptz not null,
  retired_at timestamptz not null default now()
);

create function drop_old_reading_partitions(keep_days integer) returns setof text
language plpgsql security definer set search_path = public, pg_temp set lock_timeout = '2s' as $$
declare
  name text;
  dropped_before date := (now() at time zone 'utc')::date - keep_days;
  counted bigint;
begin
  for name in
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'readings'::regclass and c.relname ~ '^readings_\d{8}$'
      and to_date(substr(c.relname, 10), 'YYYYMMDD') < dropped_before
    order by 1
  loop
    execute format('select count(*) from %I', name) into counted;
    insert into retired_readings (partition_name, readings, received_before)
      values (name, counted, (to_date(substr(name, 10), 'YYYYMMDD') + 1)::timestamp at time zone 'utc')
      on conflict (partition_name) do nothing;
    execute format('drop table %I', name);
    return next name;
  end loop;
end $$;

select ensure_reading_partitions(7);

-- for people: one reading a row, in words
create view sensor_readings as
select
  s.sensor_id,
  s.sensor_type,
  r.measured_at as "timestamp",
  r.value,
  s.unit,
  s.factory_section,
  s.machine_id,
  s.zone,
  (array['normal', 'warning', 'critical'])[r.level + 1] as alert_level,
  r.quality,
  jsonb_strip_nulls(jsonb_build_object(
    'reading_count', r.seq,
    'run_id', u.run_id,
    'warning_threshold', s.warning_threshold,
    'critical_threshold', s.critical_threshold,
    'claimed_level', (array['normal', 'warning', 'critical'])[r.claimed_level + 1]
  )) || coalesce(r.metadata, '{}') as metadata,
  t.topic,
  r.partition,
  r."offset",
  r.received_at,
  r.flags
from readings r
join sensors s on s.sensor_key = r.sensor_key
join topics t on t.topic_key = r.topic_key
left join runs u on u.run_key = r.run_key;

-- the newest reading of each sensor, kept by the consumers: pages ask this, not the big table
create table sensor_latest (
  sensor_id text primary key,
  sensor_key integer not null,
  measured_at timestamptz not null,
  value double precision not null,
  level smallint not null,
  quality real not null,
  flags integer not null,
  topic_key smallint not null,
  partition smallint not null,
  "offset" bigint not null,
  readings bigint not null,
  updated_at timestamptz not null default now()
) with (fillfactor = 50);

grant insert on readings to consumer;
grant select on readings, sensor_readings, sensor_latest, retired_readings to consumer, monitor;
grant insert, update on sensor_latest to consumer;
grant execute on function ensure_reading_partitions, drop_old_reading_partitions to consumer;
revoke execute on function ensure_reading_partitions, drop_old_reading_partitions from public;
