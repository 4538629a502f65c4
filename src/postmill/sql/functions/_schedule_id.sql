-- The id of the schedule `name`, its row locked.
-- Called by the functions that change a schedule. Locks: the row. Errors: PM008 no such schedule.
create or replace function postmill._schedule_id(name text) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    found bigint;
begin
    select s.schedule_id into found from postmill.schedules as s where s.name = _schedule_id.name for update;
    if found is null then
        raise exception 'there is no schedule %', coalesce(quote_literal(name), 'null')
            using errcode = 'PM008',
                  hint = coalesce(postmill._did_you_mean(
                                      name, array(select s.name from postmill.schedules as s limit 1000)),
                                  'select name from postmill.schedule_list');
    end if;
    return found;
end
$$;
