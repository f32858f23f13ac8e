-- Dead letters also go to the topic that is named after where they came from (sensor.raw.dlt …): each row is its own
-- outbox entry, written in the transaction that moved past the message.

-- when the message was acknowledged on that topic; null: still to be sent
alter table dead_letters add column relayed_at timestamptz;
-- what is beyond the kept 64 KiB of the value, until it is sent
alter table dead_letters add column rest bytea;
-- of before this version nobody expects them there
update dead_letters set relayed_at = now();
-- answers: what is still to be sent, oldest first; what never reached the log has no place to come from
create index dead_letters_unsent on dead_letters (dead_letter_id) where relayed_at is null and "offset" is not null;

grant update (relayed_at, rest) on dead_letters to consumer;
