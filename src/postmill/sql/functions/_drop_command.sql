-- Drops the function of a command whose schedule is removed. A role that may not, such as an operator who owns nothing,
-- leaves it: no run calls it any more.
-- Called by: trigger on postmill.schedules, after delete, as whoever removes the schedule. Takes no locks. Errors:
-- none.
create or replace function postmill._drop_command() returns trigger
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    made regprocedure;
begin
    for made in
        select known.oid from pg_catalog.pg_proc as known
        where known.proname between format('job_%s_', old.schedule_id)::name
                                and format('job_%s_g', old.schedule_id)::name
          and known.pronamespace = 'postmill_commands'::regnamespace and known.pronargs = 0
          and known.proowner = to_regrole(quote_ident(old.run_as))
    loop
        execute format('drop function %s', made);
    end loop;
    return null;
exception when insufficient_privilege then
    return null;
end
$$;
