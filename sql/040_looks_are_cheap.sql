-- Every second each consumer looks for what time alone brings to alarms, and each new alarm for a shelf that it inherits.
-- With thousands of alarms that nobody has acknowledged, both read them all: 68 ms a look at eleven thousand.
create index alerts_active on alerts (rule_id) where active;
create index alerts_shelved on alerts (sensor_id, rule_id, "timestamp" desc) where shelved_until is not null;
create index alerts_shelf_ends on alerts (shelved_until)
  where shelved_until is not null and (active or not acknowledged);

-- Roll-ups are in nobody's way: helpers of their own would take processors from those who store.
alter function add_to_roll_ups(interval) set max_parallel_workers_per_gather = 0;
alter function add_to_roll_ups(interval) set work_mem = '32MB';

-- Where nothing is stored yet, nothing arrived before now: the first look would go through the day in steps of minutes.
update rollup_progress set rolled_up_to = now()
where rolled_up_to = '-infinity' and not exists (select from readings);
