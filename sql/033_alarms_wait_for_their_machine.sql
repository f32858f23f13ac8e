-- An alarm of a machine with several sensors waits some seconds before anybody is called: where further sensors of the
-- machine raise meanwhile, the one alarm of the machine calls in their place.

alter table alerts
  drop constraint suppression_is_known,
  add constraint suppression_is_known check (suppressed in ('shelved', 'out_of_service', 'group', 'waiting')),
  -- when it calls, unless it has become part of its machine's alarm by then; only while it waits
  add column calls_at timestamptz;
-- answers: whose wait is over
create index alerts_waiting on alerts (calls_at) where suppressed = 'waiting';
