-- Each look of the roll-ups adds to a row of every sensor three times, however little is new: with 2,000 sensors 90 ms of the
-- 137 a look took, and four programs look. Whoever looks now says how much must have gathered before it is worth it.
drop function roll_up_readings(interval);
create function roll_up_readings(stretch interval, at_least interval default '0 s', out rolled_up_to timestamptz, out behind boolean)
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  select p.rolled_up_to into rolled_up_to from rollup_progress p;
  if rolled_up_to > clock_timestamp() - at_least then
    behind := false;
    return;
  end if;
  if pg_try_advisory_xact_lock(hashtext('roll-ups')) then
    perform summarize_arrivals();
  end if;
  select r.rolled_up_to, r.behind into rolled_up_to, behind from add_to_roll_ups(stretch) r;
end $$;
revoke execute on function roll_up_readings from public;
grant execute on function roll_up_readings to consumer, monitor;

-- Rows of hours and days are changed many times: with room on their pages that is done in place, without their index.
alter table readings_1h set (fillfactor = 50);
alter table readings_1d set (fillfactor = 50);
