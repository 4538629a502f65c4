-- Takes the next command that waits and that this login may run: its run is `running` from here on, in this session,
-- which holds the run's lock. No row when none waits. `command` is set where the command is the login's own; else
-- `function` is what call_command is to call. Of a schedule whose runs may not overlap one runs at a time: the
-- schedule's row is locked first, what runs is looked up in a statement of its own.
-- Called by: the scheduler, in the session that will run it. Locks: the schedule's row, skipping locked ones; the run;
-- then the session lock. Errors: none of its own.
create or replace function postmill.claim_command()
returns table (run_id bigint, name text, tick timestamptz, command text, function text)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    due record;
begin
    for due in
        select s.schedule_id, s.name, s.run_as, s.overlap, s.target ->> 'command' as command
          from (select run.schedule_id, min(run.tick) as tick from postmill.schedule_runs as run
                where run.status = 'pending' group by run.schedule_id) as waiting
          join postmill.schedules as s using (schedule_id)
         where s.run_as is not null
           and postmill._why_not_run(session_user, s.schedule_id, s.run_as) is null
         order by waiting.tick
           for no key update of s skip locked
    loop
        continue when due.overlap <> 'allow' and exists (
            select from postmill.schedule_runs as run
            where run.schedule_id = due.schedule_id and run.status = 'running');
        select run.run_id into run_id from postmill.schedule_runs as run
        where run.schedule_id = due.schedule_id and run.status = 'pending' order by run.tick limit 1;
        -- Anybody may hold a lock of this name: that run waits, and no other.
        continue when not found or not pg_try_advisory_lock(postmill._command_lock(run_id));
        update postmill.schedule_runs as run
           set status = 'running', started_at = clock_timestamp(), pid = pg_backend_pid(), command = due.command
         where run.run_id = claim_command.run_id
        returning run.tick into tick;
        name := due.name;
        command := case when due.run_as = session_user then due.command end;
        function := (select made.proname from pg_catalog.pg_proc as made
                     where made.oid = postmill._command_function(due.schedule_id, due.run_as));
        return next;
        return;
    end loop;
end
$$;
