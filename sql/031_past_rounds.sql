-- Past rounds of production lines go with the days of their readings; otherwise each round ever run would stay. The
-- newest round of a line stays however old it is: counting goes on from it.

create function drop_old_rounds(keep_days integer) returns bigint
language sql security definer set search_path = public, pg_temp set lock_timeout = '2s' as $$
  with gone as (
    delete from production_lines l
    where last_at < now() - make_interval(days => keep_days)
      and round < (select max(round) from production_lines m
        where m.factory_id = l.factory_id and m.sensor_id = l.sensor_id and m.soda_name = l.soda_name)
    returning 1
  )
  select count(*) from gone;
$$;
grant execute on function drop_old_rounds to consumer;
revoke execute on function drop_old_rounds from public;
