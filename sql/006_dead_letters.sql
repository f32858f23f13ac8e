-- Messages that cannot become readings: their bytes, where they came from and why. Written in the batch's transaction,
-- so each is here exactly once; also those that a producer could not send (larger than the broker takes).

create table dead_letters (
  dead_letter_id bigint generated always as identity primary key,
  cluster_id text not null,
  topic text not null,
  -- null for a message that never reached the log
  partition integer,
  "offset" bigint,
  -- a word: decode, schema, too_large, tombstone, sensor_limit …
  reason text not null,
  -- the sentence for people
  message text not null,
  -- first 64 KiB of each; the full length and digest beside
  key bytea,
  value bytea,
  value_bytes bigint not null default 0,
  value_sha256 bytea,
  headers jsonb not null default '{}',
  -- who it would have been, where that could be told
  sensor_id text,
  run_id text,
  seq bigint,
  detected_by text not null,
  recorded_at timestamptz not null default now(),
  redriven_at timestamptz,
  constraint dead_letter_is_written_once unique (cluster_id, topic, partition, "offset")
);
create index dead_letters_by_reason on dead_letters (reason, dead_letter_id);

grant select, insert on dead_letters to consumer, producer;
grant update (redriven_at) on dead_letters to consumer;
grant select on dead_letters to monitor;
