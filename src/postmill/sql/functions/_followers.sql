-- These steps of a version and all that need them, directly or through others. Called by retry_run and fork_run. Takes
-- no locks. Errors: none.
create or replace function postmill._followers(version_id integer, steps text[]) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with recursive follower (step) as (
        select unnest(steps)
        union
        select dependent
        from follower
        join postmill.flow_steps as known
            on known.version_id = _followers.version_id and known.step = follower.step
        cross join unnest(known.dependents) as dependent
    )
    select coalesce(array_agg(follower.step), '{}') from follower;
$$;
