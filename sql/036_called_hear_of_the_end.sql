-- Who was called for an alarm hears of its end, too, although its sensor has been taken out of service since.

-- somebody had been called before the alarm became out of service; what was never called for stays quiet to its end
alter table alerts add column called boolean not null default false;
grant update (called) on alerts to monitor;
