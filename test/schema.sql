-- The migrated schema, written by test/db/schema.db.test.ts; not to be edited by hand.

create table alert_journal (
  entry bigint not null generated always as identity,
  alert_id uuid not null,
  sensor_id text not null,
  rule_id text not null,
  transition text not null,
  at timestamp with time zone not null,
  recorded_at timestamp with time zone not null default now(),
  actor text not null,
  reason text,
  details jsonb,
  constraint alert_journal_pkey PRIMARY KEY (entry)
);
CREATE INDEX alert_journal_by_alert ON public.alert_journal USING btree (alert_id, entry);
CREATE INDEX alert_journal_by_time ON public.alert_journal USING btree (recorded_at);
grant insert, select on alert_journal to consumer;
grant insert, select on alert_journal to monitor;

create table alerts (
  alert_id uuid not null,
  "timestamp" timestamp with time zone not null,
  sensor_id text not null,
  sensor_type text not null,
  anomaly_type text not null,
  severity text not null,
  sensor_value double precision,
  sensor_unit text not null,
  sensor_alert_level text not null,
  location jsonb not null,
  detected_by text not null,
  description text not null,
  rule_id text not null,
  rule_version integer not null,
  why jsonb not null,
  late boolean not null default false,
  topic text not null,
  partition integer not null,
  "offset" bigint not null,
  active boolean not null default true,
  cleared_at timestamp with time zone,
  cleared_offset bigint,
  peak_value double precision,
  acknowledged boolean not null default false,
  acknowledged_at timestamp with time zone,
  acknowledged_by text,
  acknowledge_comment text,
  shelved_until timestamp with time zone,
  shelved_by text,
  shelve_reason text,
  created_at timestamp with time zone not null default now(),
  updated_at timestamp with time zone not null default now(),
  latching boolean not null default false,
  returned_at timestamp with time zone,
  suppressed text,
  group_id uuid,
  calls_at timestamp with time zone,
  called boolean not null default false,
  constraint alerts_pkey PRIMARY KEY (alert_id),
  constraint severity_is_known CHECK ((severity = ANY (ARRAY['low'::text, 'medium'::text, 'high'::text, 'critical'::text]))),
  constraint suppression_is_known CHECK ((suppressed = ANY (ARRAY['shelved'::text, 'out_of_service'::text, 'group'::text, 'waiting'::text])))
);
CREATE INDEX alerts_active ON public.alerts USING btree (rule_id) WHERE active;
CREATE INDEX alerts_at_machine ON public.alerts USING btree (((location ->> 'machine_id'::text)), "timestamp") WHERE (active AND (sensor_type <> 'machine'::text));
CREATE INDEX alerts_by_group ON public.alerts USING btree (group_id) WHERE (group_id IS NOT NULL);
CREATE INDEX alerts_by_sensor ON public.alerts USING btree (sensor_id, "timestamp" DESC);
CREATE INDEX alerts_by_time ON public.alerts USING btree ("timestamp" DESC);
CREATE INDEX alerts_open ON public.alerts USING btree ("timestamp" DESC) WHERE (active OR (NOT acknowledged));
CREATE INDEX alerts_shelf_ends ON public.alerts USING btree (shelved_until) WHERE ((shelved_until IS NOT NULL) AND (active OR (NOT acknowledged)));
CREATE INDEX alerts_shelved ON public.alerts USING btree (sensor_id, rule_id, "timestamp" DESC) WHERE (shelved_until IS NOT NULL);
CREATE INDEX alerts_waiting ON public.alerts USING btree (calls_at) WHERE (suppressed = 'waiting'::text);
grant insert, select, update on alerts to consumer;
grant select on alerts to monitor;
grant update (active, cleared_at, acknowledged, acknowledged_at, acknowledged_by, acknowledge_comment, shelved_until, shelved_by, shelve_reason, updated_at, suppressed, called) on alerts to monitor;

create table consumer_health (
  consumer_id text not null,
  instance_id uuid not null,
  status text not null,
  assigned_partitions jsonb not null default '[]'::jsonb,
  last_heartbeat timestamp with time zone not null default now(),
  started_at timestamp with time zone not null default now(),
  host text not null default ''::text,
  pid integer,
  total_messages_processed bigint not null default 0,
  messages_per_second double precision not null default 0,
  lag bigint,
  processing_ms_mean double precision,
  processing_ms_p99 double precision,
  end_to_end_ms_p50 double precision,
  end_to_end_ms_p99 double precision,
  errors bigint not null default 0,
  last_error text,
  last_error_at timestamp with time zone,
  paused_reason text,
  constraint consumer_health_pkey PRIMARY KEY (consumer_id),
  constraint status_is_known CHECK ((status = ANY (ARRAY['starting'::text, 'active'::text, 'standby'::text, 'paused'::text, 'stopping'::text, 'stopped'::text, 'failed'::text])))
) with (fillfactor=50);
grant insert, select, update on consumer_health to consumer;
grant select on consumer_health to monitor;

create table dead_letters (
  dead_letter_id bigint not null generated always as identity,
  cluster_id text not null,
  topic text not null,
  partition integer,
  "offset" bigint,
  reason text not null,
  message text not null,
  key bytea,
  value bytea,
  value_bytes bigint not null default 0,
  value_sha256 bytea,
  headers jsonb not null default '{}'::jsonb,
  sensor_id text,
  run_id text,
  seq bigint,
  detected_by text not null,
  recorded_at timestamp with time zone not null default now(),
  redriven_at timestamp with time zone,
  relayed_at timestamp with time zone,
  rest bytea,
  constraint dead_letter_is_written_once UNIQUE (cluster_id, topic, partition, "offset"),
  constraint dead_letters_pkey PRIMARY KEY (dead_letter_id)
);
CREATE INDEX dead_letters_by_reason ON public.dead_letters USING btree (reason, dead_letter_id);
CREATE INDEX dead_letters_unsent ON public.dead_letters USING btree (dead_letter_id) WHERE ((relayed_at IS NULL) AND ("offset" IS NOT NULL));
grant insert, select on dead_letters to consumer;
grant insert, select on dead_letters to producer;
grant select on dead_letters to monitor;
grant update (redriven_at, relayed_at, rest) on dead_letters to consumer;

create table fault_episodes (
  episode_id text not null,
  producer_id text not null,
  sensor_id text not null,
  kind text not null,
  size_sigma double precision,
  started_at timestamp with time zone not null,
  ended_at timestamp with time zone,
  description text not null,
  constraint fault_episodes_pkey PRIMARY KEY (episode_id)
);
grant insert, select, update on fault_episodes to producer;
grant select on fault_episodes to consumer;
grant select on fault_episodes to monitor;

create table flow_points (
  at timestamp with time zone not null,
  produced_per_second double precision,
  stored_per_second double precision,
  lag bigint,
  lag_seconds double precision,
  end_to_end_ms_p50 double precision,
  end_to_end_ms_p99 double precision,
  constraint flow_points_pkey PRIMARY KEY (at)
);
grant delete, insert, select on flow_points to monitor;

create table incidents (
  incident_id uuid not null,
  opened_at timestamp with time zone not null,
  noticed_at timestamp with time zone not null,
  closed_at timestamp with time zone,
  title text not null,
  causes jsonb not null,
  steps jsonb not null,
  cost jsonb not null,
  updated_at timestamp with time zone not null default now(),
  constraint incidents_pkey PRIMARY KEY (incident_id)
);
CREATE INDEX incidents_by_time ON public.incidents USING btree (opened_at DESC);
grant insert, select, update on incidents to monitor;

create table machines (
  factory_section text not null,
  machine_id text not null,
  channels jsonb not null default '[]'::jsonb,
  next_minute timestamp with time zone,
  state bytea,
  state_version integer not null default 0,
  commissioning integer,
  baseline_since timestamp with time zone,
  baseline_by text,
  baseline_reason text,
  condition text not null default 'commissioning'::text,
  score double precision not null default 0,
  contributions jsonb not null default '[]'::jsonb,
  alert_id uuid,
  rule_id text,
  peak_score double precision,
  updated_at timestamp with time zone not null default now(),
  constraint machines_pkey PRIMARY KEY (factory_section, machine_id),
  constraint condition_is_known CHECK ((condition = ANY (ARRAY['commissioning'::text, 'normal'::text, 'alarmed'::text])))
);
grant insert, select, update on machines to consumer;
grant insert, select, update on machines to monitor;

create table notification_cursors (
  channel text not null,
  transaction xid8 not null,
  entry bigint not null,
  sent bigint not null default 0,
  refused bigint not null default 0,
  attempts integer not null default 0,
  last_error text,
  holder uuid,
  held_until timestamp with time zone,
  updated_at timestamp with time zone not null default now(),
  constraint notification_cursors_pkey PRIMARY KEY (channel)
);
grant insert, select, update on notification_cursors to consumer;
grant select on notification_cursors to monitor;

create table notifications_aside (
  channel text not null,
  alert_id uuid not null,
  transaction xid8 not null,
  entry bigint not null,
  attempts integer not null default 0,
  next_at timestamp with time zone not null,
  last_error text,
  constraint notifications_aside_pkey PRIMARY KEY (channel, alert_id)
);
grant delete, insert, select, update on notifications_aside to consumer;
grant select on notifications_aside to monitor;

create table out_of_service (
  sensor_id text not null,
  since timestamp with time zone not null default now(),
  until timestamp with time zone,
  by text not null,
  reason text not null,
  constraint out_of_service_pkey PRIMARY KEY (sensor_id),
  constraint reason_is_given CHECK ((reason <> ''::text))
);
grant delete, insert, select, update on out_of_service to monitor;
grant delete, select on out_of_service to consumer;

create table outbox (
  entry bigint not null generated always as identity,
  topic text not null,
  key text not null,
  alert_id uuid not null,
  payload jsonb not null,
  created_at timestamp with time zone not null default now(),
  sent_at timestamp with time zone,
  transaction xid8 not null default pg_current_xact_id(),
  constraint outbox_pkey PRIMARY KEY (entry)
);
CREATE INDEX outbox_by_transaction ON public.outbox USING btree (transaction, entry);
CREATE INDEX outbox_unsent ON public.outbox USING btree (entry) WHERE (sent_at IS NULL);
grant delete, insert, select, update on outbox to consumer;
grant insert, select on outbox to monitor;

create table partition_checkpoints (
  cluster_id text not null,
  topic text not null,
  partition integer not null,
  at_offset bigint not null,
  version integer not null,
  state bytea not null,
  written_at timestamp with time zone not null default now(),
  constraint partition_checkpoints_pkey PRIMARY KEY (cluster_id, topic, partition)
);
grant insert, select, update on partition_checkpoints to consumer;
grant select on partition_checkpoints to monitor;

create table partition_progress (
  cluster_id text not null,
  topic text not null,
  partition integer not null,
  next_offset bigint not null,
  epoch bigint not null,
  owner text not null,
  claimed_at timestamp with time zone not null,
  updated_at timestamp with time zone not null default now(),
  newest_measured_at timestamp with time zone,
  stored bigint not null default 0,
  dead_lettered bigint not null default 0,
  repeated bigint not null default 0,
  conflicting bigint not null default 0,
  missing bigint not null default 0,
  filled bigint not null default 0,
  unidentified bigint not null default 0,
  late bigint not null default 0,
  unknown_fields bigint not null default 0,
  stopped text,
  constraint partition_progress_pkey PRIMARY KEY (cluster_id, topic, partition)
) with (fillfactor=50);
grant insert, select, update on partition_progress to consumer;
grant select on partition_progress to monitor;

create table producer_health (
  producer_id text not null,
  run_id text not null,
  fleet text not null,
  sensor_type text,
  status text not null,
  last_heartbeat timestamp with time zone not null default now(),
  started_at timestamp with time zone not null default now(),
  host text not null default ''::text,
  pid integer,
  total_messages_accepted bigint not null default 0,
  total_messages_sent bigint not null default 0,
  spooled bigint not null default 0,
  spool_bytes bigint not null default 0,
  oldest_spooled_at timestamp with time zone,
  dropped bigint not null default 0,
  rejected bigint not null default 0,
  messages_per_second double precision not null default 0,
  expected_per_second double precision,
  errors bigint not null default 0,
  last_error text,
  last_error_at timestamp with time zone,
  kafka_reachable boolean,
  constraint producer_health_pkey PRIMARY KEY (producer_id),
  constraint status_is_known CHECK ((status = ANY (ARRAY['starting'::text, 'active'::text, 'blocked'::text, 'stopping'::text, 'stopped'::text, 'finished'::text, 'failed'::text])))
) with (fillfactor=50);
grant insert, select, update on producer_health to producer;
grant select on producer_health to consumer;
grant select on producer_health to monitor;

create table production_lines (
  factory_id text not null,
  sensor_id text not null,
  soda_name text not null,
  round integer not null,
  tier text not null,
  total bigint not null,
  count bigint not null,
  readings bigint not null,
  first_at timestamp with time zone not null,
  last_at timestamp with time zone not null,
  value double precision not null,
  points bigint[] not null,
  run_id text not null,
  updated_at timestamp with time zone not null default now(),
  constraint production_lines_pkey PRIMARY KEY (factory_id, sensor_id, soda_name, round),
  constraint count_is_within_total CHECK (((count >= 1) AND (count <= total))),
  constraint every_whole_point_is_counted CHECK ((array_length(points, 1) = 101))
);
grant insert, select, update on production_lines to consumer;
grant select on production_lines to monitor;

create table readings (
  received_at timestamp with time zone not null default now(),
  measured_at timestamp with time zone not null,
  value double precision not null,
  "offset" bigint not null,
  seq bigint,
  sensor_key integer not null,
  run_key integer,
  quality real not null,
  flags integer not null default 0,
  partition smallint not null,
  topic_key smallint not null,
  level smallint not null,
  claimed_level smallint,
  metadata jsonb,
  constraint quality_is_a_share CHECK (((quality >= (0)::double precision) AND (quality <= (1)::double precision))),
  constraint value_is_finite CHECK (((value >= ('-10000000000000000'::numeric)::double precision) AND (value <= ('10000000000000000'::numeric)::double precision)))
) partition by RANGE (received_at);
CREATE INDEX readings_by_arrival ON ONLY public.readings USING brin (received_at) WITH (pages_per_range='16');
grant insert, select on readings to consumer;
grant select on readings to monitor;

create table readings_1d (
  bucket timestamp with time zone not null,
  sensor_key integer not null,
  readings bigint not null,
  total double precision not null,
  lowest double precision not null,
  highest double precision not null,
  warnings bigint not null,
  criticals bigint not null,
  constraint readings_1d_pkey PRIMARY KEY (sensor_key, bucket)
) with (fillfactor=50);
grant select on readings_1d to consumer;
grant select on readings_1d to monitor;

create table readings_1h (
  bucket timestamp with time zone not null,
  sensor_key integer not null,
  readings bigint not null,
  total double precision not null,
  lowest double precision not null,
  highest double precision not null,
  warnings bigint not null,
  criticals bigint not null,
  constraint readings_1h_pkey PRIMARY KEY (sensor_key, bucket)
) with (fillfactor=50);
grant select on readings_1h to consumer;
grant select on readings_1h to monitor;

create table readings_1m (
  bucket timestamp with time zone not null,
  sensor_key integer not null,
  readings bigint not null,
  total double precision not null,
  lowest double precision not null,
  highest double precision not null,
  warnings bigint not null,
  criticals bigint not null,
  constraint readings_1m_pkey PRIMARY KEY (sensor_key, bucket)
) partition by RANGE (bucket);
grant select on readings_1m to consumer;
grant select on readings_1m to monitor;

create table rebalancing_events (
  event_id bigint not null generated always as identity,
  at timestamp with time zone not null default now(),
  group_id text not null,
  consumer_id text not null,
  instance_id uuid not null,
  event_type text not null,
  generation integer,
  assigned jsonb not null default '[]'::jsonb,
  gained jsonb not null default '[]'::jsonb,
  lost jsonb not null default '[]'::jsonb,
  duration_ms double precision,
  details jsonb,
  constraint rebalancing_events_pkey PRIMARY KEY (event_id),
  constraint event_is_known CHECK ((event_type = ANY (ARRAY['rebalance_start'::text, 'rebalance_complete'::text, 'partition_assigned'::text, 'partition_revoked'::text])))
);
CREATE INDEX rebalancing_events_by_time ON public.rebalancing_events USING btree (at DESC);
grant insert, select on rebalancing_events to consumer;
grant select on rebalancing_events to monitor;

create table retired_readings (
  partition_name text not null,
  readings bigint not null,
  received_before timestamp with time zone not null,
  retired_at timestamp with time zone not null default now(),
  constraint retired_readings_pkey PRIMARY KEY (partition_name)
);
grant select on retired_readings to consumer;
grant select on retired_readings to monitor;

create table rollup_progress (
  only_one boolean not null default true,
  rolled_up_to timestamp with time zone not null,
  updated_at timestamp with time zone not null default now(),
  constraint rollup_progress_pkey PRIMARY KEY (only_one),
  constraint there_is_one_row CHECK (only_one)
);
grant select on rollup_progress to consumer;
grant select on rollup_progress to monitor;

create table rule_activations (
  cluster_id text not null,
  topic text not null,
  partition integer not null,
  book_version integer not null,
  from_offset bigint not null,
  activated_at timestamp with time zone not null default now(),
  constraint rule_activations_pkey PRIMARY KEY (cluster_id, topic, partition, book_version)
);
grant insert, select, update on rule_activations to consumer;
grant select on rule_activations to monitor;

create table rule_books (
  version integer not null generated always as identity,
  book jsonb not null,
  author text not null,
  reason text not null default ''::text,
  created_at timestamp with time zone not null default now(),
  constraint rule_books_pkey PRIMARY KEY (version),
  constraint author_is_named CHECK ((author <> ''::text))
);
grant insert, select on rule_books to consumer;
grant insert, select on rule_books to monitor;

create table runs (
  run_key integer not null generated always as identity,
  run_id text not null,
  first_seen_at timestamp with time zone not null default now(),
  constraint run_is_known_once UNIQUE (run_id),
  constraint runs_pkey PRIMARY KEY (run_key)
);
grant insert, select, update on runs to consumer;
grant select on runs to monitor;
grant select on runs to producer;

create table schema_migrations (
  version integer not null,
  name text not null,
  checksum text not null,
  applied_at timestamp with time zone not null default now(),
  constraint schema_migrations_pkey PRIMARY KEY (version)
);
grant select on schema_migrations to consumer;
grant select on schema_migrations to monitor;
grant select on schema_migrations to producer;

create table sensor_heartbeats (
  sensor_id text not null,
  run_id text not null,
  tier text not null,
  counted bigint not null,
  status text not null,
  since timestamp with time zone not null,
  last_at timestamp with time zone not null,
  up_micros bigint not null,
  outages bigint not null,
  updated_at timestamp with time zone not null default now(),
  constraint sensor_heartbeats_pkey PRIMARY KEY (sensor_id, run_id)
);
grant insert, select, update on sensor_heartbeats to consumer;
grant select on sensor_heartbeats to monitor;

create table sensor_latest (
  sensor_id text not null,
  sensor_key integer not null,
  measured_at timestamp with time zone not null,
  value double precision not null,
  level smallint not null,
  quality real not null,
  flags integer not null,
  topic_key smallint not null,
  partition smallint not null,
  "offset" bigint not null,
  readings bigint not null,
  updated_at timestamp with time zone not null default now(),
  constraint sensor_latest_pkey PRIMARY KEY (sensor_id)
) with (fillfactor=50);
grant insert, select, update on sensor_latest to consumer;
grant select on sensor_latest to monitor;

create table sensors (
  sensor_key integer not null generated always as identity,
  sensor_id text not null,
  sensor_type text not null,
  unit text not null,
  factory_section text not null,
  machine_id text not null,
  zone text not null,
  warning_threshold double precision,
  critical_threshold double precision,
  first_seen_at timestamp with time zone not null default now(),
  constraint sensor_is_described_once UNIQUE NULLS NOT DISTINCT (sensor_id, sensor_type, unit, factory_section, machine_id, zone, warning_threshold, critical_threshold),
  constraint sensors_pkey PRIMARY KEY (sensor_key)
);
CREATE INDEX sensors_by_machine ON public.sensors USING btree (machine_id);
grant insert, select, update on sensors to consumer;
grant select on sensors to monitor;
grant select on sensors to producer;

create table sequence_gaps (
  topic text not null,
  partition integer not null,
  sensor_id text not null,
  run_id text not null,
  from_seq bigint not null,
  to_seq bigint not null,
  constraint sequence_gaps_pkey PRIMARY KEY (topic, partition, sensor_id, run_id, from_seq)
);
grant delete, insert, select, update on sequence_gaps to consumer;
grant select on sequence_gaps to monitor;

create table sink_dead_letters (
  sink text not null,
  cluster_id text not null,
  topic text not null,
  partition integer not null,
  "offset" bigint not null,
  reason text not null,
  message text not null,
  sensor_id text,
  run_id text,
  seq bigint,
  recorded_at timestamp with time zone not null default now(),
  log integer not null default 0,
  written_at timestamp with time zone,
  constraint sink_dead_letters_pkey PRIMARY KEY (sink, cluster_id, topic, partition, log, "offset")
);
grant insert, select on sink_dead_letters to consumer;
grant select on sink_dead_letters to monitor;
grant update (written_at) on sink_dead_letters to consumer;

create table sink_progress (
  sink text not null,
  cluster_id text not null,
  topic text not null,
  partition integer not null,
  next_offset bigint not null,
  planned_to bigint,
  epoch bigint not null,
  owner text not null,
  claimed_at timestamp with time zone not null,
  updated_at timestamp with time zone not null default now(),
  stored bigint not null default 0,
  dead_lettered bigint not null default 0,
  repeated bigint not null default 0,
  missing bigint not null default 0,
  filled bigint not null default 0,
  marks_offset bigint not null,
  marks bytea,
  marks_version integer not null default 0,
  stopped text,
  left_at timestamp with time zone,
  log integer not null default 0,
  constraint sink_progress_pkey PRIMARY KEY (sink, cluster_id, topic, partition),
  constraint plan_lies_ahead CHECK ((planned_to > next_offset))
) with (fillfactor=50);
grant insert, select, update on sink_progress to consumer;
grant select on sink_progress to monitor;

create table system_events (
  event_id bigint not null generated always as identity,
  at timestamp with time zone not null default now(),
  source text not null,
  event text not null,
  severity text not null,
  message text not null,
  details jsonb,
  constraint system_events_pkey PRIMARY KEY (event_id),
  constraint severity_is_known CHECK ((severity = ANY (ARRAY['info'::text, 'warning'::text, 'error'::text])))
);
CREATE INDEX system_events_by_time ON public.system_events USING btree (at DESC);
grant insert on system_events to producer;
grant insert, select on system_events to consumer;
grant insert, select on system_events to monitor;

create table topics (
  topic_key smallint not null generated always as identity,
  topic text not null,
  constraint topic_is_known_once UNIQUE (topic),
  constraint topics_pkey PRIMARY KEY (topic_key)
);
grant insert, select, update on topics to consumer;
grant select on topics to monitor;
grant select on topics to producer;

create view sensor_readings as
 SELECT s.sensor_id,
    s.sensor_type,
    r.measured_at AS "timestamp",
    r.value,
    s.unit,
    s.factory_section,
    s.machine_id,
    s.zone,
    (ARRAY['normal'::text, 'warning'::text, 'critical'::text])[r.level + 1] AS alert_level,
    r.quality,
    jsonb_strip_nulls(jsonb_build_object('reading_count', r.seq, 'run_id', u.run_id, 'warning_threshold', s.warning_threshold, 'critical_threshold', s.critical_threshold, 'claimed_level', (ARRAY['normal'::text, 'warning'::text, 'critical'::text])[r.claimed_level + 1])) || COALESCE(r.metadata, '{}'::jsonb) AS metadata,
    t.topic,
    r.partition,
    r."offset",
    r.received_at,
    r.flags
   FROM readings r
     JOIN sensors s ON s.sensor_key = r.sensor_key
     JOIN topics t ON t.topic_key = r.topic_key
     LEFT JOIN runs u ON u.run_key = r.run_key;
grant select on sensor_readings to consumer;
grant select on sensor_readings to monitor;

CREATE OR REPLACE FUNCTION public.add_to_roll_ups(stretch interval, OUT rolled_up_to timestamp with time zone, OUT behind boolean)
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET max_parallel_workers_per_gather TO '0'
 SET work_mem TO '32MB'
 SET enable_sort TO 'off'
AS $function$
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
end $function$;

CREATE OR REPLACE FUNCTION public.connected_programs()
 RETURNS SETOF text
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select distinct application_name from pg_stat_activity
  where datname = current_database() and application_name <> ''
$function$;
grant execute on function connected_programs() to monitor;

CREATE OR REPLACE FUNCTION public.drop_old_reading_partitions(keep_days integer)
 RETURNS SETOF text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET lock_timeout TO '2s'
AS $function$
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
end $function$;
grant execute on function drop_old_reading_partitions(integer) to consumer;

CREATE OR REPLACE FUNCTION public.drop_old_rollups(keep_days integer)
 RETURNS SETOF text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET lock_timeout TO '2s'
AS $function$
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
end $function$;
grant execute on function drop_old_rollups(integer) to consumer;
grant execute on function drop_old_rollups(integer) to monitor;

CREATE OR REPLACE FUNCTION public.drop_old_rounds(keep_days integer)
 RETURNS bigint
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET lock_timeout TO '2s'
AS $function$
  with gone as (
    delete from production_lines l
    where last_at < now() - make_interval(days => keep_days)
      and round < (select max(round) from production_lines m
        where m.factory_id = l.factory_id and m.sensor_id = l.sensor_id and m.soda_name = l.soda_name)
    returning 1
  )
  select count(*) from gone;
$function$;
grant execute on function drop_old_rounds(integer) to consumer;

CREATE OR REPLACE FUNCTION public.end_frozen_writer(frozen text)
 RETURNS integer
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select count(*) filter (where pg_terminate_backend(a.pid))::integer
  from pg_stat_activity a join pg_locks l on l.pid = a.pid
  where a.datname = current_database() and a.application_name = frozen and a.pid <> pg_backend_pid()
    and a.state = 'active' and a.wait_event = 'ClientRead' and a.query_start < clock_timestamp() - interval '5 seconds'
    and l.locktype = 'relation' and l.relation = 'public.partition_progress'::regclass and l.mode = 'RowExclusiveLock'
$function$;
grant execute on function end_frozen_writer(text) to consumer;

CREATE OR REPLACE FUNCTION public.end_latched_alarm()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  if new.acknowledged and not old.acknowledged and new.latching and new.active and new.returned_at is not null then
    new.active := false;
    new.cleared_at := now();
  end if;
  return new;
end $function$;

CREATE OR REPLACE FUNCTION public.ensure_reading_partitions(days_ahead integer)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
end $function$;
grant execute on function ensure_reading_partitions(integer) to consumer;

CREATE OR REPLACE FUNCTION public.refuse_to_change_the_journal()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  raise exception 'Cannot % alert_journal: the journal is only ever added to', lower(tg_op)
    using errcode = 'insufficient_privilege';
end $function$;

CREATE OR REPLACE FUNCTION public.roll_up_readings(stretch interval, at_least interval DEFAULT '00:00:00'::interval, OUT rolled_up_to timestamp with time zone, OUT behind boolean)
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
begin
  select p.rolled_up_to into rolled_up_to from rollup_progress p;
  if rolled_up_to > clock_timestamp() - at_least then
    behind := false;
    return;
  end if;
  if pg_try_advisory_xact_lock(hashtext('roll-ups')) then
    perform summarize_arrivals();
  end if;
  select r.rolled_up_to, r.behind into rolled_up_to, behind from add_to_roll_ups(stretch) r;
end $function$;
grant execute on function roll_up_readings(interval,interval) to consumer;
grant execute on function roll_up_readings(interval,interval) to monitor;

CREATE OR REPLACE FUNCTION public.summarize_arrivals()
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET lock_timeout TO '100ms'
AS $function$
begin
  perform brin_summarize_new_values(x.indexrelid)
  from pg_inherits i join pg_index x on x.indexrelid = i.inhrelid join pg_class t on t.oid = x.indrelid
  where i.inhparent = 'readings_by_arrival'::regclass and t.relname ~ '^readings_\d{8}$'
    and to_date(substr(t.relname, 10), 'YYYYMMDD') <= (now() at time zone 'utc')::date
    and to_date(substr(t.relname, 10), 'YYYYMMDD')
      >= (select (rolled_up_to at time zone 'utc')::date from rollup_progress);
exception
  when lock_not_available then null;
end $function$;

CREATE OR REPLACE FUNCTION public.tell_of_rule_book()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  perform pg_notify('rules', new.version::text);
  return null;
end $function$;
