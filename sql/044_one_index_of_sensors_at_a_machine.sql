-- The same index twice: sensors_by_machine has been there since machines are.
drop index sensors_at_machine;
