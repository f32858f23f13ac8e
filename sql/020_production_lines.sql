-- How far production lines are, and how their sensors live. Folded from the log by the consumers, in the transaction that
-- stores the readings: the same log gives the same rows, however it is cut into batches.

-- One row an order of a line: counting begins anew, so does a row.
create table production_lines (
  factory_id text not null,
  sensor_id text not null,
  soda_name text not null,
  -- 1, 2 …: the how manieth time that this line has begun
  round integer not null,
  tier text not null,
  -- what is to be made, and the highest count that has come
  total bigint not null,
  count bigint not null,
  -- readings that say so; fewer than count where some are missing
  readings bigint not null,
  first_at timestamptz not null,
  last_at timestamptz not null,
  -- the newest reading, 0 to 100 points
  value double precision not null,
  -- how many readings there were at 0, 1 … 100 points (cut to whole ones): what counts as good is for the one who asks
  points bigint[] not null constraint every_whole_point_is_counted check (array_length(points, 1) = 101),
  run_id text not null,
  updated_at timestamptz not null default now(),
  primary key (factory_id, sensor_id, soda_name, round),
  constraint count_is_within_total check (count between 1 and total)
);

-- One row a sensor and spool: signs of life are counted here instead of being stored one by one. Senders without
-- identity have run_id ''.
create table sensor_heartbeats (
  sensor_id text not null,
  run_id text not null,
  tier text not null,
  -- all that came of this run, each once: what verify holds against the spool's own numbers
  counted bigint not null,
  status text not null,
  -- the time watched: from its first sign of life (after it had last finished) to the newest
  since timestamptz not null,
  last_at timestamptz not null,
  -- of that time it was alive so long: pauses beyond five seconds are left out, and counted
  up_micros bigint not null,
  outages bigint not null,
  updated_at timestamptz not null default now(),
  primary key (sensor_id, run_id)
);

grant select, insert, update on production_lines, sensor_heartbeats to consumer;
grant select on production_lines, sensor_heartbeats to monitor;
