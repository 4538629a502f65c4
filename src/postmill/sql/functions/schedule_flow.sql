-- Makes a schedule whose ticks start a run of a flow, or changes the one of that name; returns its id. `input`: that of
-- each run. `overlap`: what a tick does while the run of a tick before has not ended: skip (starts none) or allow.
-- `catch_up`, `timezone`, `jitter`: as schedule's.
-- Called by people, applications, the command line and declare_flow_schedule. Locks: the schedule's row. Errors: PM003
-- an argument out of its range; PM010 no such flow, PM015 an input that does not fit.
create or replace function postmill.schedule_flow(
    name     text,
    schedule text,
    flow     text,
    input    jsonb default '{}',
    timezone text default 'UTC',
    overlap  text default 'skip',
    catch_up text default 'one',
    jitter   interval default '0'
) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    perform postmill._check_schedule(name, schedule, input, timezone, overlap, catch_up, jitter, '{}');
    if schedule_flow.overlap = 'queue' then
        raise exception 'no run of a flow waits for another one'
            using errcode = 'PM003', hint = 'overlap is skip or allow for a flow.';
    end if;
    perform postmill._check_known_flow(schedule_flow.flow, schedule_flow.input);
    return postmill._put_schedule(
        schedule_flow.name, schedule_flow.schedule, schedule_flow.timezone,
        jsonb_build_object('flow', schedule_flow.flow, 'input', schedule_flow.input), null,
        schedule_flow.overlap, schedule_flow.catch_up, schedule_flow.jitter);
end
$$;
