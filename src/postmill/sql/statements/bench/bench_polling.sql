-- The sessions by which dashboards poll: their processes, and when each has ended its last statement.
-- Called by: bench dashboard. Takes no locks.
select pid, state_change from pg_stat_activity
 where application_name = 'postmill dashboard, live' and datname = current_database() and state = 'idle'
