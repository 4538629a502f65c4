-- Whether messages are left in the throw-away queue. Called by postmill.bench after a drain. Takes no locks.
select exists (select from {queue})
