-- Deletes runs that ended `older_than` ago (by postmill.now()) with all that is kept of them, their keys too: the
-- oldest first, at most `most`. Returns how many. A run whose parent goes on is kept: the parent may ask for its
-- output.
-- Called by every worker, each minute, with 30 days; anyone with the right may. Locks: the runs, skipping locked ones.
-- Errors: PM003 a negative or endless interval.
create or replace function postmill.prune_runs(
    older_than interval default '30 days', most integer default 1000
) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    pruned bigint;
begin
    if older_than is null or older_than < interval '0' or not isfinite(older_than) then
        raise exception 'older_than is no length of time: %', coalesce(older_than::text, 'null')
            using errcode = 'PM003', hint = 'Give an interval such as ''30 days''.';
    end if;
    with old as materialized (
        select run.run_id from postmill.runs as run
        where run.ended_at < postmill.now() - older_than
          and not exists (select from postmill.runs as parent
                          where parent.run_id = run.parent_run and parent.ended_at is null)
        order by run.ended_at limit most for update skip locked
    )
    delete from postmill.runs as run using old where run.run_id = old.run_id;
    get diagnostics pruned = row_count;
    return pruned;
end
$$;
