-- The condition of each machine: all its sensors together, minute by minute, against a baseline that is frozen after
-- commissioning. Its sensors lie in different partitions, so this is judged from the roll-ups, which have them all, in
-- a transaction of its own; moving next_minute is the fence: a minute is judged once, whoever judges it.

create table machines (
  factory_section text not null,
  machine_id text not null,
  -- sensors in the order of the detector's channels; a new one is added at the end
  channels jsonb not null default '[]',
  -- the first minute that is not judged yet; null: none was
  next_minute timestamptz,
  state bytea,
  state_version integer not null default 0,
  -- minutes of each channel that are its baseline; a changed rule holds from the next re-baseline on
  commissioning integer,
  baseline_since timestamptz,
  baseline_by text,
  baseline_reason text,
  condition text not null default 'commissioning' constraint condition_is_known check (condition in ('commissioning', 'normal', 'alarmed')),
  -- 0 … 1, an alarm from 0.5 on
  score double precision not null default 0,
  -- what each channel has to do with it
  contributions jsonb not null default '[]',
  -- the open alarm
  alert_id uuid,
  rule_id text,
  peak_score double precision,
  updated_at timestamptz not null default now(),
  primary key (factory_section, machine_id)
);
grant select, insert, update on machines to consumer, monitor;

-- answers: which sensors stand at this machine
create index sensors_by_machine on sensors (machine_id);
