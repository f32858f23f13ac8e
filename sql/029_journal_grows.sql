-- The journal of alarms is only ever added to: not even the owner of the database changes or removes an entry by mistake.

create function refuse_to_change_the_journal() returns trigger language plpgsql as $$
begin
  raise exception 'Cannot % alert_journal: the journal is only ever added to', lower(tg_op)
    using errcode = 'insufficient_privilege';
end $$;
create trigger journal_only_grows before update or delete or truncate on alert_journal
  for each statement execute function refuse_to_change_the_journal();
