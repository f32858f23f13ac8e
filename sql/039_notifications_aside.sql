-- An alarm that a receiver of notifications does not take holds up no other: a channel goes past it, and tries it again.

create table notifications_aside (
  channel text not null,
  alert_id uuid not null,
  -- the last place up to which the receiver has all of this alarm; from there to the cursor its entries wait
  transaction xid8 not null,
  entry bigint not null,
  attempts integer not null default 0,
  next_at timestamptz not null,
  last_error text,
  primary key (channel, alert_id)
);
grant select, insert, update, delete on notifications_aside to consumer;
grant select on notifications_aside to monitor;
