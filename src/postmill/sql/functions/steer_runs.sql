-- Does one thing to many runs: cancel, pause, resume or retry those that match all that is given, oldest first, at most
-- `most`. With `dry_run`, as by default, it only says which. `older_than`: since their start. A run that can't do what
-- is asked is no match: cancel takes those that have not ended, pause those that go on, resume those that are paused,
-- retry those that have failed or, when `state` says so, were cancelled. Returns each with whether it was done.
-- Called by people and the command line. Locks: as cancel_run, pause_run, resume_run or retry_run, run after run by id.
-- Errors: PM003 an action or a state that is none, or no filter.
create or replace function postmill.steer_runs(
    action     text,
    flow       text default null,
    state      text default null,
    tag        text default null,
    older_than interval default null,
    reason     text default null,
    dry_run    boolean default true,
    most       integer default 1000
) returns table (run_id bigint, its_flow text, its_state text, done boolean)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
    perform postmill._check_steering(action, flow, state, tag, older_than);
    for steer_runs.run_id, its_flow, its_state in
        select run.run_id, run.flow, told.state
        from postmill.runs as run
        cross join lateral (
            select case run.state when 'running' then postmill._run_state(run) else run.state end as state) as told
        where run.state = any (postmill._states_to(action, steer_runs.state))
          and (steer_runs.state is null or told.state = steer_runs.state)
          and (steer_runs.flow is null or run.flow = steer_runs.flow)
          and (tag is null or tag = any (run.tags))
          and (older_than is null or run.started_at < clock_timestamp() - older_than)
        order by run.run_id limit most
    loop
        done := false;
        if not dry_run then
            done := postmill._steer_run(action, steer_runs.run_id, reason);
        end if;
        return next;
    end loop;
end
$$;
