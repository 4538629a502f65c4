-- A worker's row knows how long its leases last: that long it may be silent before its messages are given back.
-- A worker of an earlier release does not say it; ten seconds is the option's default.
alter table postmill.workers add column lease interval not null default '10 seconds';

-- Heartbeats change last_heartbeat_at and nothing that is indexed, so that each can replace the row version before it in its page.
-- The index finds the living ones in the order in which their rows lie there.
drop index postmill.workers_living;
create index workers_living on postmill.workers (started_at) where stopped_at is null;
alter table postmill.workers set (fillfactor = 50);

-- The function has a second parameter now. With the old one beside it, a call without arguments would be ambiguous.
drop function if exists postmill.rescue(integer);
