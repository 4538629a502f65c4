-- The states of runs to which an action may be done; of these only `state`, if it is given: a run that is
-- told as waiting may be running in its row. Called by steer_runs. Takes
-- no locks. Errors: none.
create or replace function postmill._states_to(action text, state text) returns text[]
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select array(
        select fitting from unnest(case action
            when 'cancel' then array['running', 'waiting', 'paused', 'undoing']
            when 'pause' then array['running', 'waiting']
            when 'resume' then array['paused']
            when 'retry' then array['failed', case when state = 'cancelled' then 'cancelled' end] end) as fitting
        where fitting = coalesce(state, fitting) or state = 'waiting' and fitting = 'running');
$$;
