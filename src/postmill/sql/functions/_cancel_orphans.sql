-- Of these runs, cancels those that another run had started and waited for, where that one has failed or was cancelled,
-- and with each of them what it has started itself; but none that undoes what it has done. Not done where the parent
-- ends: its settlement holds the parent's row, and a child's settlement may hold the child's. Called by _audit_runs.
-- Lock order: the parents' rows in share mode, so that none is retried meanwhile, skipping locked ones; then as
-- _cancel_runs. Errors: none.
create or replace function postmill._cancel_orphans(run_ids bigint[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
    parents bigint[];
    orphans bigint[];
begin
    parents := array(
        select parent.run_id from postmill.runs as parent
        where parent.run_id in (select child.parent_run from postmill.runs as child
                                where child.run_id = any (run_ids) and child.ended_at is null)
          and parent.state in ('failed', 'cancelled')
        order by parent.run_id for share skip locked);
    orphans := array(
        select child.run_id from postmill.runs as child
        where child.run_id = any (run_ids) and child.ended_at is null and child.state <> 'undoing'
          and child.parent_run = any (parents));
    if orphans <> '{}' then
        perform postmill._cancel_runs(orphans, 'cancelled: the run that waited for it has failed or was cancelled');
    end if;
end
$$;
