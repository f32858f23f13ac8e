-- What an alarm lives through beside being raised and cleared (ISA-18.2): latched until it is acknowledged, quiet because
-- its sensor is out of service, its rule shelved, or its machine already has one alarm for all.

alter table alerts
  -- stays active until somebody has acknowledged it, although the condition is over (returned_at)
  add column latching boolean not null default false,
  add column returned_at timestamptz,
  -- why nobody is called for it: shelved, out_of_service, group; null: somebody is
  add column suppressed text constraint suppression_is_known check (suppressed in ('shelved', 'out_of_service', 'group')),
  -- the alarm of its machine that stands for it
  add column group_id uuid;
-- answers: who belongs to this alarm of a machine
create index alerts_by_group on alerts (group_id) where group_id is not null;

-- Taken out of service by a person: judged and stored all the same, but nobody is called until it is back.
create table out_of_service (
  sensor_id text primary key,
  since timestamptz not null default now(),
  until timestamptz,
  by text not null,
  reason text not null constraint reason_is_given check (reason <> '')
);
grant select on out_of_service to consumer;
grant select, insert, update, delete on out_of_service to monitor;

-- A latched alarm whose condition is over ends with its acknowledgement.
create function end_latched_alarm() returns trigger language plpgsql as $$
begin
  if new.acknowledged and not old.acknowledged and new.latching and new.active and new.returned_at is not null then
    new.active := false;
    new.cleared_at := now();
    insert into alert_journal (alert_id, sensor_id, rule_id, transition, at, actor, reason)
      values (new.alert_id, new.sensor_id, new.rule_id, 'cleared', now(), coalesce(new.acknowledged_by, ''),
        'the condition was over, and it is acknowledged');
  end if;
  return new;
end $$;
create trigger latched_alarm_ends before update of acknowledged on alerts
  for each row execute function end_latched_alarm();

-- sensors are silent because their producer is: who is down, and who has finished
grant select on producer_health, fault_episodes to consumer;
