-- Which of these runs go on no more, and how they have ended; `gone`: there is no such run.
-- Called by the statement runs_ended. Takes no locks. Errors: none.
create or replace function postmill._ended_runs(run_ids bigint[]) returns table (run_id bigint, state text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
    select wanted.run_id, coalesce(run.state, 'gone')
      from unnest(run_ids) as wanted (run_id)
      left join postmill.runs as run on run.run_id = wanted.run_id
     where run.run_id is null or run.ended_at is not null;
$$;
