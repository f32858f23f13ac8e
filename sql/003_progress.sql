-- How far each partition of the log is stored. This row is the fence: every batch moves next_offset by compare-and-set
-- in its own transaction, so a zombie, a redelivery or an unknown COMMIT cannot write twice.

create table partition_progress (
  cluster_id text not null,
  topic text not null,
  partition integer not null,
  next_offset bigint not null,
  -- rises with each claim; a batch of an older epoch is refused
  epoch bigint not null,
  owner text not null,
  claimed_at timestamptz not null,
  updated_at timestamptz not null default now(),
  -- event time of the newest reading stored, so that lag can be told in seconds
  newest_measured_at timestamptz,
  -- exact, because they move in the same transaction as the rows they count
  stored bigint not null default 0,
  dead_lettered bigint not null default 0,
  repeated bigint not null default 0,
  conflicting bigint not null default 0,
  missing bigint not null default 0,
  filled bigint not null default 0,
  unidentified bigint not null default 0,
  late bigint not null default 0,
  unknown_fields bigint not null default 0,
  -- why this partition stands still, where it was stopped on purpose
  stopped text,
  primary key (cluster_id, topic, partition)
) with (fillfactor = 50);

-- Detector state and high-water marks of a partition, exactly as of at_offset. Restored after a claim; the log between
-- at_offset and next_offset is then read again with its outputs suppressed.
create table partition_checkpoints (
  cluster_id text not null,
  topic text not null,
  partition integer not null,
  at_offset bigint not null,
  version integer not null,
  state bytea not null,
  written_at timestamptz not null default now(),
  primary key (cluster_id, topic, partition)
);

-- Numbers that a sensor skipped and that may still come, once the in-memory list of a sensor is full.
create table sequence_gaps (
  topic text not null,
  partition integer not null,
  sensor_id text not null,
  run_id text not null,
  from_seq bigint not null,
  to_seq bigint not null,
  primary key (topic, partition, sensor_id, run_id, from_seq)
);

grant select, insert, update on partition_progress, partition_checkpoints to consumer;
grant select, insert, update, delete on sequence_gaps to consumer;
grant select on partition_progress, partition_checkpoints, sequence_gaps to monitor;
