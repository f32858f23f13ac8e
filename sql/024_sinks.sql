-- How far each sink (Elasticsearch, S3) has taken each partition, and what it could not take. The position is the fence,
-- as in partition_progress: a batch is planned here before it is written there, and moved past only once it is there.

create table sink_progress (
  -- kind and destination: elasticsearch:sensor_readings, s3:sensor-cold. Another index or bucket begins anew.
  sink text not null,
  cluster_id text not null,
  topic text not null,
  partition integer not null,
  next_offset bigint not null,
  -- where the batch ends that is being written from next_offset on: whoever comes next writes that very batch
  planned_to bigint,
  epoch bigint not null,
  owner text not null,
  claimed_at timestamptz not null,
  updated_at timestamptz not null default now(),
  -- exact, because they move in the same statement as the position
  stored bigint not null default 0,
  dead_lettered bigint not null default 0,
  repeated bigint not null default 0,
  missing bigint not null default 0,
  filled bigint not null default 0,
  -- high-water marks as of marks_offset; the log from there on is read again to continue them
  marks_offset bigint not null,
  marks bytea,
  marks_version integer not null default 0,
  -- why it stands still, where it does
  stopped text,
  primary key (sink, cluster_id, topic, partition),
  constraint plan_lies_ahead check (planned_to > next_offset)
) with (fillfactor = 50);

-- Messages that are not in the sink: not readable (their bytes are in dead_letters), or refused by the server there.
create table sink_dead_letters (
  sink text not null,
  cluster_id text not null,
  topic text not null,
  partition integer not null,
  "offset" bigint not null,
  reason text not null,
  message text not null,
  -- who it would have been, where that could be told
  sensor_id text,
  run_id text,
  seq bigint,
  recorded_at timestamptz not null default now(),
  primary key (sink, cluster_id, topic, partition, "offset")
);

grant select, insert, update on sink_progress to consumer;
grant select, insert on sink_dead_letters to consumer;
grant select on sink_progress, sink_dead_letters to monitor;
