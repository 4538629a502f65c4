-- What a worker's code says of its schedule: it is made, changed, or (with `schedule` null) removed, if the code had
-- declared it before. Its name is the queue's and the worker's. Returns made, changed or removed; null: all is as it
-- was. One that is paused stays so.
-- Called by: engine, at a worker's start. Locks: the schedule's row. Errors: PM001, PM003; PM005 when a person made a
-- schedule of that name.
create or replace function postmill.declare_schedule(queue text, worker text, schedule text, timezone text) returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    its_name text := left(queue || '.' || worker, 200);
    known    postmill.schedules;
begin
    select s.* into known from postmill.schedules as s where s.name = its_name;
    if known.name is not null and known.declared_by is null then
        if schedule is null then
            return null;
        end if;
        raise exception 'the schedule % was made by hand', quote_literal(its_name)
            using errcode = 'PM005', detail = 'A worker of that name declares one in its code too.',
                  hint = format('Remove it: select postmill.unschedule(%L)', its_name);
    elsif schedule is null then
        delete from postmill.schedules as s where s.name = its_name and s.declared_by is not null;
        return case when found then 'removed' end;
    elsif (known.recurrence, known.timezone) is not distinct from (schedule, timezone) then
        return null;
    end if;
    perform postmill.schedule(its_name, schedule, queue, timezone => timezone);
    update postmill.schedules as s set declared_by = worker where s.name = its_name;
    return case when known.name is null then 'made' else 'changed' end;
end
$$;
