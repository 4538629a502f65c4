-- Has the runs go on that this one has started, waits for, and that have failed or were cancelled. A durable function
-- has caught what still stands as failed, and does not wait for it. Called by retry_run and _do_again, which hold the
-- run's row. Locks: the children by id, each as retry_run. Errors: none.
create or replace function postmill._retry_children(run_id bigint) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    catches constant boolean := (select postmill._is_workflow(run.version_id) from postmill.runs as run
                                 where run.run_id = _retry_children.run_id);
    child   bigint;
begin
    for child in
        select last.run_id
        from (select distinct on (run.parent_step) run.run_id, run.parent_step, run.state from postmill.runs as run
              where run.parent_run = _retry_children.run_id order by run.parent_step, run.run_id desc) as last
        where last.state in ('failed', 'cancelled')
          and not exists (select from postmill.steps as step
                          where step.run_id = _retry_children.run_id and step.step = last.parent_step
                            and (step.state in ('completed', 'skipped') or catches and step.state = 'failed'))
        order by last.run_id
    loop
        perform postmill.retry_run(child);
    end loop;
end
$$;
