-- A sink that is stopped on purpose says so, like consumers and producers do: it is not missed. One that dies says nothing.

alter table sink_progress
  -- when its owner said goodbye; null while somebody is at it, or died
  add column left_at timestamptz;
