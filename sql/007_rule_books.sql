-- The rules by which alarms are raised: whole books, versioned, never edited. The newest is in force; who made it and
-- why stands beside it. Each partition takes a new book on at an offset of its own, which is stored with the batch: the
-- same log read again meets the same rules at the same offsets.

create table rule_books (
  version integer generated always as identity primary key,
  book jsonb not null,
  author text not null constraint author_is_named check (author <> ''),
  reason text not null default '',
  created_at timestamptz not null default now()
);

create function tell_of_rule_book() returns trigger language plpgsql as $$
begin
  perform pg_notify('rules', new.version::text);
  return null;
end $$;
create trigger rule_book_is_told after insert on rule_books
  for each row execute function tell_of_rule_book();

create table rule_activations (
  cluster_id text not null,
  topic text not null,
  partition integer not null,
  book_version integer not null,
  from_offset bigint not null,
  activated_at timestamptz not null default now(),
  primary key (cluster_id, topic, partition, book_version)
);

grant select, insert on rule_books to consumer, monitor;
grant select, insert, update on rule_activations to consumer;
grant select on rule_activations to monitor;
