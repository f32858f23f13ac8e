-- Incidents: what went wrong, step by step, and what it cost, as the monitor saw it. One row an incident, rewritten while
-- it is open; the steps are a list, because they are read and written together.

create table incidents (
  incident_id uuid primary key,
  opened_at timestamptz not null,
  noticed_at timestamptz not null,
  closed_at timestamptz,
  title text not null,
  causes jsonb not null,
  steps jsonb not null,
  cost jsonb not null,
  updated_at timestamptz not null default now()
);
create index incidents_by_time on incidents (opened_at desc);

grant select, insert, update on incidents to monitor;

-- One point every half minute of what flowed, so that trends outlive the monitor's memory.
create table flow_points (
  at timestamptz primary key,
  produced_per_second double precision,
  stored_per_second double precision,
  lag bigint,
  lag_seconds double precision,
  end_to_end_ms_p50 double precision,
  end_to_end_ms_p99 double precision
);

grant select, insert, delete on flow_points to monitor;

-- Which programs hold a connection now. A killed process loses its connections at once, seconds before its heartbeat is
-- old; names of other logins' connections are hidden from the monitor, so the owner looks.
create function connected_programs() returns setof text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select distinct application_name from pg_stat_activity
  where datname = current_database() and application_name <> ''
$$;
revoke execute on function connected_programs from public;
grant execute on function connected_programs to monitor;
