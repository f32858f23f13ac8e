-- A topic that was made anew begins at offset 0 once more: what a sink names by its place in the log would take the place of
-- what it has written before. So each log that an operator accepts has a number of its own, and names say it.

alter table sink_progress
  -- how many logs of this partition came before; 0: names say nothing of it
  add column log integer not null default 0;

alter table sink_dead_letters
  add column log integer not null default 0,
  drop constraint sink_dead_letters_pkey,
  add primary key (sink, cluster_id, topic, partition, log, "offset");

alter table sink_dead_letters
  -- when the store has taken the message after all; null: it is not there
  add column written_at timestamptz;

grant update (written_at) on sink_dead_letters to consumer;
