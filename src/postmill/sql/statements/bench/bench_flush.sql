-- Has this session hand in its own counters at the end of the statement. Called by postmill.bench. Locks: none.
select pg_stat_force_next_flush()
