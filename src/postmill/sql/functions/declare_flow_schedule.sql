-- What a program says of the schedule of one of its flows: it is made, changed, or (with `schedule` null) removed, if
-- a program had declared it before. Its name is that of the flow, behind `flow.`. Returns made, changed or removed;
-- null: all is as it was. One that is paused stays so.
-- Called by: a flow's worker, at its start. Locks: the schedule's row. Errors: PM003, PM010, PM015; PM005 when a person
-- made a schedule of that name.
create or replace function postmill.declare_flow_schedule(flow text, schedule text, timezone text) returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    its_name text := 'flow.' || flow;
    known    postmill.schedules;
begin
    select s.* into known from postmill.schedules as s where s.name = its_name;
    if schedule is null then
        delete from postmill.schedules as s where s.name = its_name and s.declared_by is not null;
        return case when found then 'removed' end;
    elsif known.name is not null and known.declared_by is null then
        raise exception 'the schedule % was made by hand', quote_literal(its_name)
            using errcode = 'PM005', detail = 'The flow of that name declares one in its code too.',
                  hint = format('Remove it: select postmill.unschedule(%L)', its_name);
    elsif (known.recurrence, known.timezone) is not distinct from (schedule, timezone) then
        return null;
    end if;
    perform postmill.schedule_flow(its_name, schedule, flow, timezone => timezone);
    update postmill.schedules as s set declared_by = flow where s.name = its_name;
    return case when known.name is null then 'made' else 'changed' end;
end
$$;
