-- The last $2 things that the run $1 has said, newest first. Called by the API and the dashboard. Takes no locks.
-- Errors: none.
select event_id, step, name, value, said_at from postmill.run_events
 where run_id = $1::bigint
 order by changed desc, event_id desc limit $2::integer
