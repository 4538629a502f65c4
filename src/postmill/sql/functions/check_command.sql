-- Refuses a run that this login may not run any more: its function is looked at again right before it is called.
-- Called by: the scheduler, in the transaction that calls the function. Takes no locks. Errors: insufficient_privilege.
create or replace function postmill.check_command(run_id bigint) returns void
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    refusal text;
begin
    select coalesce(postmill._why_not_run(session_user, s.schedule_id, s.run_as), '') into refusal
    from postmill.schedule_runs as run
    join postmill.schedules as s using (schedule_id)
    where run.run_id = check_command.run_id and run.status = 'running' and run.pid = pg_backend_pid();
    if refusal is distinct from '' then
        raise exception '%', coalesce(refusal, 'its schedule is gone') using errcode = 'insufficient_privilege';
    end if;
end
$$;
