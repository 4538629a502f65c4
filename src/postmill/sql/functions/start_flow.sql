-- Starts a run of a flow and returns its id; its first tasks are sent when the caller's transaction commits. `version`:
-- of the flow's shape; unless it is given, the one that a program has registered last. `input`: an object lacks no
-- field that has a default. `key`: unique per flow while its run is kept; if it is taken by a run with the same input,
-- that run's id is returned. `delay`: before the first steps begin. `deadline`: the run fails when it has not ended
-- after so long, or as long as its program says. `priority`: of its tasks, 0 to 9, unless a step has its own.
-- Called by applications, schedules, the Python client and the command line. SECURITY DEFINER: whoever may start flows
-- needs no right to their queues. Lock order: the new run's row, its key, then as _begin_steps. Errors: PM003 an
-- argument out of its range, PM010 no such flow or version, PM011 the key is taken by a run with other input, PM015 an
-- input that does not fit.
create or replace function postmill.start_flow(
    flow     text,
    input    jsonb default '{}',
    key      text default null,
    delay    interval default null,
    tags     text[] default '{}',
    deadline interval default null,
    priority integer default null,
    version  integer default null
) returns bigint
language plpgsql volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    known integer;
    made  bigint;
    other record;
begin
    perform postmill._check_start(input, key, delay, tags, deadline, priority);
    select v.version_id into known
      from postmill.flow_versions as v
     where v.flow = start_flow.flow and (start_flow.version is null or v.version = start_flow.version)
     order by v.registered_at desc, v.version desc
     limit 1;
    if known is null then
        perform postmill._refuse_flow(flow, version);
    elsif key is null or not exists (
        select from postmill.runs as run where run.flow = start_flow.flow and run.key = start_flow.key)
    then
        perform postmill._check_input(known, input);
    end if;
    loop
        made := postmill._start_run(known, input, key, delay, tags, deadline, priority);
        if made is not null then
            return made;
        end if;
        select run.run_id, run.input = postmill._with_defaults(known, start_flow.input) as is_same into other
          from postmill.runs as run where run.flow = start_flow.flow and run.key = start_flow.key;
        if other.is_same then
            return other.run_id;
        elsif other.run_id is not null then
            raise exception 'the key % of flow % is taken', quote_literal(key), quote_literal(flow)
                using errcode = 'PM011', detail = format('Run %s has it, with other input.', other.run_id),
                      hint = 'Use another key, or the same input to get that run.';
        end if;
    end loop;
end
$$;
