-- Looks after runs: fails those whose deadline is over, and every 30 s looks for runs whose next task is nowhere,
-- because another client has deleted its message or dropped its queue: they fail too. Runs whose parent has failed are
-- cancelled with that look. One bounded batch: at most `most`
-- runs of each. Returns whether more is waiting.
-- Called by every process that runs flows, every five seconds; anyone with the right may. Lock order: the row of
-- flow_audit (skipping locked); the runs by id, skipping locked ones; then as _fail_runs. Errors: none of its own.
create or replace function postmill.sweep_flows(most integer default 1000) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
    overdue bigint[];
    more    boolean;
begin
    select coalesce(array_agg(late.run_id), '{}') into overdue
    from (select run.run_id from postmill.runs as run
          where run.deadline < clock_timestamp() and run.ended_at is null and run.state <> 'undoing'
          order by run.deadline limit most for no key update skip locked) as late;
    perform postmill._fail_runs(overdue, array_fill(null::text, array[cardinality(overdue)]),
                                array_fill('its deadline was over'::text, array[cardinality(overdue)]))
    where overdue <> '{}';
    more := postmill._audit_runs(most);
    return more or cardinality(overdue) >= most;
end
$$;
