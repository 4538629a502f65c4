-- A run's state as people are told it: also a run of a graph is waiting when all that it has begun is a wait for a
-- signal, a time that is not over, or another run that goes on. A workflow says so itself.
-- Called by run_list, run_result and steer_runs. Takes no locks. Errors: none.
create or replace function postmill._run_state(run postmill.runs) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
begin
    if run.state = 'running' and (
        select bool_and(case known.kind
                        when 'wait' then true
                        when 'sleep' then postmill._sleeps_until(its, known) > clock_timestamp()
                        when 'run' then exists (
                            select from postmill.runs as child
                            where child.parent_run = run.run_id and child.parent_step = its.step
                              and child.ended_at is null)
                        else false end)
        from postmill.steps as its
        join postmill.flow_steps as known on known.version_id = run.version_id and known.step = its.step
        where its.run_id = run.run_id and its.state = 'started')
    then
        return 'waiting';
    end if;
    return run.state;
end
$$;
