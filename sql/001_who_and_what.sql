-- Who measures (sensors), which spool accepted it (runs), which log it came through (topics): small tables that the
-- wide, fast one refers to by number.

create table sensors (
  sensor_key integer generated always as identity primary key,
  sensor_id text not null,
  sensor_type text not null,
  unit text not null,
  factory_section text not null,
  machine_id text not null,
  zone text not null,
  -- limits that the producer claimed; the limits in force are the rules'
  warning_threshold double precision,
  critical_threshold double precision,
  first_seen_at timestamptz not null default now(),
  -- one row for each distinct way in which a sensor has described itself
  constraint sensor_is_described_once unique nulls not distinct
    (sensor_id, sensor_type, unit, factory_section, machine_id, zone, warning_threshold, critical_threshold)
);

create table runs (
  run_key integer generated always as identity primary key,
  run_id text not null constraint run_is_known_once unique,
  first_seen_at timestamptz not null default now()
);

create table topics (
  topic_key smallint generated always as identity primary key,
  topic text not null constraint topic_is_known_once unique
);

grant select on sensors, runs, topics to consumer, producer, monitor;
grant insert, update on sensors, runs, topics to consumer;
