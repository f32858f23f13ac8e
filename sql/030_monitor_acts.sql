-- The monitor raises no alarms and rewrites none: it may set what a person's acts set (acknowledged, shelved, out of
-- service, and the end of an alarm whose machine gets a new baseline), and nothing of what was measured and judged.

revoke insert, update on alerts from monitor;
grant update (acknowledged, acknowledged_at, acknowledged_by, acknowledge_comment, shelved_until, shelved_by, shelve_reason,
  suppressed, active, cleared_at, updated_at) on alerts to monitor;
