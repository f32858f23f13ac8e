-- Each alarm at a machine asks for the machine's other alarms and for its sensors, and holds it until it has the answers.
-- It read all alarms of the plant within a minute of it (at 25 a second 3 ms, most of what an alarm asks of the server) and
-- all sensors (with a hundred thousand of them more than that).
create index alerts_at_machine on alerts ((location->>'machine_id'), "timestamp") where active and sensor_type <> 'machine';
create index sensors_at_machine on sensors (machine_id);
