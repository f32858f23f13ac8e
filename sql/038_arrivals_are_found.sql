-- Pages of readings that are new since the last vacuum are unknown to the index of arrival: whoever asked for the last
-- few seconds read them all, after a burst of a million readings a second's work each time. Now they are summed up
-- before the roll-ups look. Where autovacuum is at it, it does the same, and must not be driven out by our waiting.
create function summarize_arrivals() returns void
language plpgsql security definer set search_path = public, pg_temp set lock_timeout = '100ms' as $$
begin
  perform brin_summarize_new_values(x.indexrelid)
  from pg_inherits i join pg_index x on x.indexrelid = i.inhrelid join pg_class t on t.oid = x.indrelid
  where i.inhparent = 'readings_by_arrival'::regclass and t.relname ~ '^readings_\d{8}$'
    and to_date(substr(t.relname, 10), 'YYYYMMDD') <= (now() at time zone 'utc')::date
    and to_date(substr(t.relname, 10), 'YYYYMMDD')
      >= (select (rolled_up_to at time zone 'utc')::date from rollup_progress);
exception
  when lock_not_available then null;
end $$;

alter function roll_up_readings(interval) rename to add_to_roll_ups;
-- A young partition has no statistics: the planner would not believe in its index.
alter function add_to_roll_ups(interval) set enable_seqscan = off;

create function roll_up_readings(stretch interval, out rolled_up_to timestamptz, out behind boolean)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if pg_try_advisory_xact_lock(hashtext('roll-ups')) then
    perform summarize_arrivals();
  end if;
  select r.rolled_up_to, r.behind into rolled_up_to, behind from add_to_roll_ups(stretch) r;
end $$;

revoke execute on function summarize_arrivals, add_to_roll_ups, roll_up_readings from public;
revoke execute on function add_to_roll_ups from consumer, monitor;
grant execute on function roll_up_readings to consumer, monitor;
