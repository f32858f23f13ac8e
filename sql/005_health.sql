-- What the programs say of themselves, and what happened to them.

create table consumer_health (
  consumer_id text primary key,
  -- fresh at each start of the process
  instance_id uuid not null,
  status text not null constraint status_is_known check (status in ('starting', 'active', 'standby', 'paused', 'stopping', 'stopped', 'failed')),
  -- [{"topic": …, "partition": …}]
  assigned_partitions jsonb not null default '[]',
  last_heartbeat timestamptz not null default now(),
  started_at timestamptz not null default now(),
  host text not null default '',
  pid integer,
  total_messages_processed bigint not null default 0,
  messages_per_second double precision not null default 0,
  -- messages behind the log end over its partitions; null while unknown
  lag bigint,
  -- milliseconds a batch, from hand-over to COMMIT: mean and 99th percentile of the last half minute
  processing_ms_mean double precision,
  processing_ms_p99 double precision,
  -- time from measurement to COMMIT
  end_to_end_ms_p50 double precision,
  end_to_end_ms_p99 double precision,
  errors bigint not null default 0,
  last_error text,
  last_error_at timestamptz,
  -- why it is paused, where it is
  paused_reason text
) with (fillfactor = 50);

create table producer_health (
  producer_id text primary key,
  run_id text not null,
  fleet text not null,
  sensor_type text,
  status text not null constraint status_is_known check (status in ('starting', 'active', 'blocked', 'stopping', 'stopped', 'finished', 'failed')),
  last_heartbeat timestamptz not null default now(),
  started_at timestamptz not null default now(),
  host text not null default '',
  pid integer,
  -- of this run, kept across restarts: accepted = sent + spooled + dropped + rejected
  total_messages_accepted bigint not null default 0,
  total_messages_sent bigint not null default 0,
  spooled bigint not null default 0,
  spool_bytes bigint not null default 0,
  oldest_spooled_at timestamptz,
  dropped bigint not null default 0,
  rejected bigint not null default 0,
  messages_per_second double precision not null default 0,
  expected_per_second double precision,
  errors bigint not null default 0,
  last_error text,
  last_error_at timestamptz,
  kafka_reachable boolean
) with (fillfactor = 50);

create table rebalancing_events (
  event_id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  group_id text not null,
  consumer_id text not null,
  instance_id uuid not null,
  event_type text not null constraint event_is_known check (event_type in ('rebalance_start', 'rebalance_complete', 'partition_assigned', 'partition_revoked')),
  generation integer,
  -- [{"topic": …, "partition": …}]
  assigned jsonb not null default '[]',
  gained jsonb not null default '[]',
  lost jsonb not null default '[]',
  duration_ms double precision,
  details jsonb
);
create index rebalancing_events_by_time on rebalancing_events (at desc);

create table system_events (
  event_id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  source text not null,
  event text not null,
  severity text not null constraint severity_is_known check (severity in ('info', 'warning', 'error')),
  message text not null,
  details jsonb
);
create index system_events_by_time on system_events (at desc);

-- the simulator's own truth: which fault it injected, where, when (what detectors are scored against)
create table fault_episodes (
  episode_id text primary key,
  producer_id text not null,
  sensor_id text not null,
  kind text not null,
  size_sigma double precision,
  started_at timestamptz not null,
  ended_at timestamptz,
  description text not null
);

grant select, insert, update on consumer_health to consumer;
grant select, insert on rebalancing_events to consumer;
grant select, insert, update on producer_health, fault_episodes to producer;
grant insert on system_events to consumer, producer, monitor;
grant select on consumer_health, producer_health, rebalancing_events, system_events, fault_episodes to monitor;
grant select on system_events to consumer;
