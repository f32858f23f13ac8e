-- A latched alarm whose condition is over ends with its acknowledgement. Who acknowledges it also tells its end (journal,
-- topic, webhook, Alertmanager) after the acknowledgement: the trigger told the journal alone, and told it first.

create or replace function end_latched_alarm() returns trigger language plpgsql as $$
begin
  if new.acknowledged and not old.acknowledged and new.latching and new.active and new.returned_at is not null then
    new.active := false;
    new.cleared_at := now();
  end if;
  return new;
end $$;
