-- A sensor is out of service until an end that a person has set: whoever cares for alarms takes the entry away then.

grant delete on out_of_service to consumer;
