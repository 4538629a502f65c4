-- Starts the run of a schedule's flow for one tick, and writes the tick's run down; returns the flow's run, null when
-- the tick has one already. `due_at`: before that none of its steps begins.
-- SECURITY DEFINER: whatever fires schedules may start what they start, and ties the two.
-- Called by _fire_flow and run_schedule, with the schedule's row locked. Lock order: the tick's run, then as
-- start_flow. Errors: those of start_flow.
create or replace function postmill._start_scheduled(schedule_id bigint, tick timestamptz, due_at timestamptz)
returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    target  jsonb;
    its_run bigint;
    made    bigint;
begin
    insert into postmill.schedule_runs (schedule_id, tick, status)
    values (_start_scheduled.schedule_id, _start_scheduled.tick, 'sent') on conflict do nothing
    returning run_id into its_run;
    if its_run is null then
        return null;
    end if;
    select s.target into target from postmill.schedules as s where s.schedule_id = _start_scheduled.schedule_id;
    made := postmill.start_flow(target ->> 'flow', target -> 'input',
                                delay => greatest(_start_scheduled.due_at - clock_timestamp(), interval '0'));
    update postmill.schedule_runs as run set flow_run = made where run.run_id = its_run;
    update postmill.runs as run set schedule_run = its_run where run.run_id = made;
    perform postmill._end_flow_runs(array[made]);  -- one whose steps were all skipped has ended already
    return made;
end
$$;
