-- Roll-ups: what a chart of a day, a month or a year asks, without touching the readings. A minute, an hour and a day of
-- one sensor are one row each, by event time; they outlive the readings that they were made of.
-- Each reading is added once, because the progress row moves in the same transaction, in the order of arrival: a late
-- reading is added to its own old minute, and after any outage the work goes on where it stopped.

create table readings_1m (
  bucket timestamptz not null,
  sensor_key integer not null,
  readings bigint not null,
  total double precision not null,
  lowest double precision not null,
  highest double precision not null,
  warnings bigint not null,
  criticals bigint not null,
  primary key (sensor_key, bucket)
) partition by range (bucket);

create table readings_1h (like readings_1m including constraints, primary key (sensor_key, bucket));
create table readings_1d (like readings_1m including constraints, primary key (sensor_key, bucket));

create table rollup_progress (
  only_one boolean primary key default true constraint there_is_one_row check (only_one),
  -- every reading that arrived before this is in the roll-ups, none that arrived later
  rolled_up_to timestamptz not null,
  updated_at timestamptz not null default now()
);
insert into rollup_progress (rolled_up_to) values ('-infinity');

-- Adds the next stretch of arrivals, at most `stretch` long. Answers how far the roll-ups reach now, and whether there is
-- more to do at once. Somebody else at work: nothing is done.
create function roll_up_readings(stretch interval, out rolled_up_to timestamptz, out behind boolean)
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  start_at timestamptz;
  end_at timestamptz;
  horizon timestamptz;
  month timestamptz;
begin
  if not pg_try_advisory_xact_lock(hashtext('roll-ups')) then
    select p.rolled_up_to into rolled_up_to from rollup_progress p;
    behind := false;
    return;
  end if;
  select p.rolled_up_to into start_at from rollup_progress p for update;
  -- received_at is the start of the transaction that stored the reading, so nothing older than the oldest open
  -- transaction can still appear. Where other logins' transactions can't be seen, half a minute stands in for them:
  -- longer than any statement and idle time-out allows.
  select least(
      now() - case when bool_or(query = '<insufficient privilege>') then interval '30 seconds' else interval '1 second' end,
      min(xact_start))
    into horizon
    from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend';
  horizon := coalesce(horizon, now() - interval '1 second');
  -- Before the oldest partition there is nothing to find.
  start_at := greatest(start_at, (
    select min(to_date(substr(c.relname, 10), 'YYYYMMDD'))::timestamp at time zone 'utc'
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'readings'::regclass and c.relname ~ '^readings_\d{8}$'));
  end_at := least(start_at + stretch, horizon);
  if end_at is null or start_at is null or end_at <= start_at then
    rolled_up_to := start_at;
    behind := false;
    return;
  end if;

  create temporary table if not exists rolling (like readings_1m) on commit delete rows;
  delete from rolling;
  -- Bits of flags: 2 clock out of bounds, 64 sent as history (its own old times are right).
  insert into rolling
    select date_bin('1 minute', measured_at, timestamptz 'epoch'), sensor_key, count(*), sum(value), min(value), max(value),
      count(*) filter (where level = 1), count(*) filter (where level = 2)
    from readings
    where received_at >= start_at and received_at < end_at and (flags & 2 = 0 or flags & 64 <> 0)
    group by 1, 2;

  for month in select distinct date_trunc('month', bucket, 'UTC') from rolling loop
    if to_regclass('readings_1m_' || to_char(month at time zone 'utc', 'YYYYMM')) is null then
      execute format('create table %I partition of readings_1m for values from (%L) to (%L)',
        'readings_1m_' || to_char(month at time zone 'utc', 'YYYYMM'),
        month, (month at time zone 'utc' + interval '1 month') at time zone 'utc');
    end if;
  end loop;

  insert into readings_1m as r select * from rolling
    on conflict (sensor_key, bucket) do update set readings = r.readings + excluded.readings,
      total = r.total + excluded.total, lowest = least(r.lowest, excluded.lowest),
      highest = greatest(r.highest, excluded.highest), warnings = r.warnings + excluded.warnings,
      criticals = r.criticals + excluded.criticals;
  insert into readings_1h as r
    select date_trunc('hour', bucket, 'UTC'), sensor_key, sum(readings), sum(total), min(lowest), max(highest), sum(warnings), sum(criticals)
    from rolling group by 1, 2
    on conflict (sensor_key, bucket) do update set readings = r.readings + excluded.readings,
      total = r.total + excluded.total, lowest = least(r.lowest, excluded.lowest),
      highest = greatest(r.highest, excluded.highest), warnings = r.warnings + excluded.warnings,
      criticals = r.criticals + excluded.criticals;
  insert into readings_1d as r
    select date_trunc('day', bucket, 'UTC'), sensor_key, sum(readings), sum(total), min(lowest), max(highest), sum(warnings), sum(criticals)
    from rolling group by 1, 2
    on conflict (sensor_key, bucket) do update set readings = r.readings + excluded.readings,
      total = r.total + excluded.total, lowest = least(r.lowest, excluded.lowest),
      highest = greatest(r.highest, excluded.highest), warnings = r.warnings + excluded.warnings,
      criticals = r.criticals + excluded.criticals;

  update rollup_progress p set rolled_up_to = end_at, updated_at = now();
  rolled_up_to := end_at;
  behind := end_at < horizon - interval '10 seconds';
end $$;

-- Minutes older than keep_days go by whole months; hours and days are small and stay.
create function drop_old_rollups(keep_days integer) returns setof text
language plpgsql security definer set search_path = public, pg_temp set lock_timeout = '2s' as $$
declare
  name text;
begin
  for name in
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'readings_1m'::regclass and c.relname ~ '^readings_1m_\d{6}$'
      and to_date(substr(c.relname, 13), 'YYYYMM') + interval '1 month' < now() - make_interval(days => keep_days)
      -- months of history that was sent lately are not old work
      and not exists (select from sensor_latest l where date_trunc('month', l.measured_at, 'UTC') = to_date(substr(c.relname, 13), 'YYYYMM'))
    order by 1
  loop
    execute format('drop table %I', name);
    return next name;
  end loop;
end $$;

revoke execute on function roll_up_readings, drop_old_rollups from public;
grant execute on function roll_up_readings, drop_old_rollups to consumer, monitor;
grant select on readings_1m, readings_1h, readings_1d, rollup_progress to consumer, monitor;
