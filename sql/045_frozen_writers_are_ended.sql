-- A consumer that froze while it was copying readings holds its partition and its machines: a server that waits for the
-- rest of a COPY is not idle, and neither statement_timeout nor idle_in_transaction_session_timeout ends it. Whoever takes
-- its partition over has the session ended by its name. Five seconds, as those that are idle have.
create function end_frozen_writer(frozen text) returns integer
language sql security definer set search_path = pg_catalog, pg_temp as $$
  select count(*) filter (where pg_terminate_backend(a.pid))::integer
  from pg_stat_activity a join pg_locks l on l.pid = a.pid
  where a.datname = current_database() and a.application_name = frozen and a.pid <> pg_backend_pid()
    and a.state = 'active' and a.wait_event = 'ClientRead' and a.query_start < clock_timestamp() - interval '5 seconds'
    and l.locktype = 'relation' and l.relation = 'public.partition_progress'::regclass and l.mode = 'RowExclusiveLock'
$$;
revoke execute on function end_frozen_writer from public;
grant execute on function end_frozen_writer to consumer;
