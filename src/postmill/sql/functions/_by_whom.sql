-- What was done to a run, by which login and why, as the run's reason says it. Called by the functions that steer
-- runs. Takes no locks. Errors: none.
create or replace function postmill._by_whom(done text, reason text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select format('%s by %s%s', done, session_user, ': ' || nullif(reason, ''));
$$;
