-- Alarms: one row an episode, two independent bits (active, acknowledged) after ISA-18.2, and an append-only journal.
-- The outbox carries every transition to topic alerts (and to webhooks) in the transaction that made it.

create table alerts (
  -- uuidv5 of rule, sensor and the first offset of the episode: the same log gives the same id on any machine
  alert_id uuid primary key,
  -- event time of the reading that raised it
  "timestamp" timestamptz not null,
  sensor_id text not null,
  sensor_type text not null,
  anomaly_type text not null,
  severity text not null constraint severity_is_known check (severity in ('low', 'medium', 'high', 'critical')),
  sensor_value double precision,
  sensor_unit text not null,
  sensor_alert_level text not null,
  location jsonb not null,
  detected_by text not null,
  description text not null,
  rule_id text not null,
  rule_version integer not null,
  -- limits in force, last readings, rarity, the part that spoke: what answers "why?"
  why jsonb not null,
  late boolean not null default false,
  topic text not null,
  partition integer not null,
  "offset" bigint not null,
  active boolean not null default true,
  cleared_at timestamptz,
  cleared_offset bigint,
  -- worst value since it was raised
  peak_value double precision,
  acknowledged boolean not null default false,
  acknowledged_at timestamptz,
  acknowledged_by text,
  acknowledge_comment text,
  shelved_until timestamptz,
  shelved_by text,
  shelve_reason text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
-- answers: what is wrong now
create index alerts_open on alerts ("timestamp" desc) where active or not acknowledged;
-- answers: what was wrong lately, of one sensor or of all
create index alerts_by_time on alerts ("timestamp" desc);
create index alerts_by_sensor on alerts (sensor_id, "timestamp" desc);

create table alert_journal (
  entry bigint generated always as identity primary key,
  alert_id uuid not null,
  sensor_id text not null,
  rule_id text not null,
  transition text not null,
  -- when it happened in the plant, and when we wrote it down
  at timestamptz not null,
  recorded_at timestamptz not null default now(),
  actor text not null,
  reason text,
  details jsonb
);
create index alert_journal_by_alert on alert_journal (alert_id, entry);
create index alert_journal_by_time on alert_journal (recorded_at);

create table outbox (
  entry bigint generated always as identity primary key,
  topic text not null,
  key text not null,
  alert_id uuid not null,
  payload jsonb not null,
  created_at timestamptz not null default now(),
  sent_at timestamptz
);
-- answers: what is still to be sent, oldest first
create index outbox_unsent on outbox (entry) where sent_at is null;

grant select, insert, update on alerts to consumer, monitor;
grant select, insert on alert_journal to consumer, monitor;
grant select, insert on outbox to consumer, monitor;
grant update, delete on outbox to consumer;
