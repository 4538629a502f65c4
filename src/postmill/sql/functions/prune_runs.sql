-- Deletes runs that ended `older_than` ago (by postmill.now()) with all that is kept of them, their keys too: of each
-- flow the oldest first, at most `most`. Returns how many. Without `older_than` a flow's program says how long its runs
-- are kept, and else they are for 30 days. A run whose parent goes on is kept: the parent may ask for its output.
-- Called by every worker, each minute; anyone with the right may. Locks: the runs, skipping locked ones.
-- Errors: PM003 a negative or endless interval.
create or replace function postmill.prune_runs(
    older_than interval default null, most integer default 1000
) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    pruned bigint;
begin
    if older_than < interval '0' or not isfinite(older_than) then
        raise exception 'older_than is no length of time: %', older_than
            using errcode = 'PM003', hint = 'Give an interval such as ''30 days''.';
    end if;
    with its as (
        select distinct on (version.flow) version.flow,
               coalesce(prune_runs.older_than, version.retention, interval '30 days') as kept
        from postmill.flow_versions as version
        order by version.flow, version.registered_at desc, version.version desc
    ), old as materialized (
        select run.run_id from its
        cross join lateral (
            select ended.run_id from postmill.runs as ended
            where ended.flow = its.flow and ended.ended_at < postmill.now() - its.kept
              and not exists (select from postmill.runs as parent
                              where parent.run_id = ended.parent_run and parent.ended_at is null)
            order by ended.ended_at limit most for update skip locked) as run
        limit most
    )
    delete from postmill.runs as run using old where run.run_id = old.run_id;
    get diagnostics pruned = row_count;
    return pruned;
end
$$;
