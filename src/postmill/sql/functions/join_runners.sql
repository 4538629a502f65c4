-- Lets this session's process count as one that runs commands, until the session ends. Where it is the first, the service
-- starts: what is scheduled for @reboot fires. Returns whether it was the first.
-- Called by: the scheduler. Locks: a session lock, never waiting for it; what the messages of @reboot need. Errors:
-- none.
create or replace function postmill.join_runners() returns boolean
language plpgsql volatile security definer
set search_path = ''
as $$
declare
    at_start record;
    is_first boolean;
begin
    if pg_backend_pid() in (select postmill._locked_by(postmill._runners_lock())) then
        return false;
    end if;
    is_first := pg_try_advisory_lock(postmill._runners_lock());
    perform pg_try_advisory_lock_shared(postmill._runners_lock());
    if is_first then
        perform pg_advisory_unlock(postmill._runners_lock());
    end if;
    for at_start in
        select s.schedule_id, s.run_as, clock_timestamp() as tick from postmill.schedules as s
        where is_first and s.paused_at is null and lower(trim(s.recurrence)) = '@reboot'
        order by s.schedule_id
    loop
        begin
            if at_start.run_as is not null then
                perform postmill._fire_command(at_start.schedule_id, at_start.tick);
            else
                perform postmill._fire(at_start.schedule_id, at_start.tick, at_start.tick, null);
            end if;
        exception when others then
            insert into postmill.schedule_runs (schedule_id, tick, status, reason, ended_at)
            values (at_start.schedule_id, at_start.tick, 'failed', sqlerrm, clock_timestamp()) on conflict do nothing;
        end;
    end loop;
    return is_first;
end
$$;
