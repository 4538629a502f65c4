-- Why none of the started steps of a run of a graph goes on, in words; null: one does.
-- Called by _blocked. Takes no locks. Errors: none.
create or replace function postmill._blocked_steps(run postmill.runs) returns text
language sql stable
set search_path = pg_catalog, pg_temp
set jit = off
as $$
    select case when count(*) = count(cause.why) then min(cause.why) end
    from postmill.steps as its
    join postmill.flow_versions as version on version.version_id = run.version_id
    join postmill.flow_steps as known on known.version_id = run.version_id and known.step = its.step
    cross join lateral (
        select case known.kind
            when 'wait' then format('waiting for signal %s (step %s)', known.signal, its.step)
            when 'run' then case when exists (
                select from postmill.runs as child
                where child.parent_run = run.run_id and child.parent_step = its.step and child.ended_at is null)
                then format('waiting for another run (step %s)', its.step) end
            when 'sleep' then
                case when postmill._sleeps_until(its, known) > clock_timestamp()
                then format('sleeping until %s UTC (step %s)', to_char(
                    postmill._sleeps_until(its, known) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS'), its.step) end
            else postmill._unserved(coalesce(known.chosen ->> 'queue', version.queue_name)) end as why) as cause
    where its.run_id = run.run_id and its.state = 'started';
$$;
