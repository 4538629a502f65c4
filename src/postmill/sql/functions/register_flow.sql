-- Writes down that a program has this flow, and returns the number of its version: 1 for the first shape of this
-- name, and a new one for each other shape. A shape that is known keeps its number; what the program has chosen
-- beside it (queues, windows, delays, priorities, time limits) is brought up to date. `shape`: {"steps": [...]},
-- each step needing earlier ones only; `chosen`: by step, and under "input" what holds for each start: the defaults of
-- the input's fields, the JSON Schema of what is accepted (see _misfit), whether the program has to look at it, and the
-- deadline. `kind`: graph or workflow. `retention`: how long its runs are kept, 30 days unless it is given. Creates the
-- queues; tasks that were held because no program had this version are sent again.
-- Called by workers at their start and again while they run. SECURITY DEFINER: workers can't make queues.
-- Lock order: an advisory lock for the flow's name, flow_versions, flow_steps, held_tasks, queues. Errors: PM002 the
-- queue's name, PM003 a shape that is none.
create or replace function postmill.register_flow(
    flow text, kind text, queue text, shape jsonb, chosen jsonb default '{}', retention interval default null
) returns integer
language plpgsql volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    known     record;
    its_queue text;
    starts    constant jsonb := chosen -> 'input';
begin
    perform postmill._check_flow(flow, kind, shape, chosen, retention);
    perform pg_advisory_xact_lock(hashtextextended('postmill.flow ' || flow, 0));
    foreach its_queue in array array(
        select queue union select value ->> 'queue' from jsonb_each(chosen) where value ->> 'queue' is not null)
    loop
        perform postmill.create_queue(its_queue);
    end loop;
    select v.version_id, v.version into known from postmill.flow_versions as v
     where v.flow = register_flow.flow and md5(v.shape::text) = md5(register_flow.shape::text);
    if not found then
        insert into postmill.flow_versions (flow, version, kind, shape, queue_name, leaves)
        select register_flow.flow, coalesce(max(v.version), 0) + 1, register_flow.kind, register_flow.shape, queue, 0
          from postmill.flow_versions as v where v.flow = register_flow.flow
        returning version_id, version into known;
        perform postmill._write_steps(known.version_id, shape);
    end if;
    update postmill.flow_versions as v
       set registered_at = clock_timestamp(), queue_name = queue, retention = register_flow.retention,
           defaults = coalesce(starts -> 'defaults', '{}'), accepts = starts -> 'accepts',
           checks_input = coalesce((starts ->> 'checks')::boolean, false),
           deadline = make_interval(secs => (starts ->> 'deadline_s')::float8)
     where v.version_id = known.version_id;
    update postmill.flow_steps as s
       set chosen = coalesce(register_flow.chosen -> s.step, '{}')
     where s.version_id = known.version_id and s.chosen is distinct from coalesce(register_flow.chosen -> s.step, '{}');
    perform postmill._send_held(known.version_id, null, 'version');
    return known.version;
end
$$;
