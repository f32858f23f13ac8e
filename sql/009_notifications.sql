-- Webhooks and Alertmanager read the outbox beside the relay, each with a cursor of its own.

-- Entries in the order in which they became visible, so that a reader with a cursor of its own misses none: what has a
-- smaller transaction number than every running transaction is final.
alter table outbox add column transaction xid8 not null default pg_current_xact_id();
create index outbox_by_transaction on outbox (transaction, entry);

create table notification_cursors (
  channel text primary key,
  transaction xid8 not null,
  entry bigint not null,
  sent bigint not null default 0,
  refused bigint not null default 0,
  -- of the entry that it waits with
  attempts integer not null default 0,
  last_error text,
  -- the consumer that is at it, and until when nobody else may be
  holder uuid,
  held_until timestamptz,
  updated_at timestamptz not null default now()
);
grant select, insert, update on notification_cursors to consumer;
grant select on notification_cursors to monitor;
