-- Lets this session's process count as one that runs commands, until the session ends. `starting`: the process has not
-- counted before. Where it is the first, the service starts then: what is scheduled for @reboot fires. Returns whether
-- no other process counts; null when it could not join, and has to try again: another session holds the lock for
-- itself alone. One that joins does so for a moment, so a few tries pass it by.
-- Called by: the scheduler. Locks: a session lock, never waiting for it; what the messages of @reboot need. Errors:
-- none.
create or replace function postmill.join_runners(starting boolean) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    is_first boolean;
    joined   boolean := false;
begin
    if pg_backend_pid() in (select postmill._locked_by(postmill._runners_lock())) then
        return false;
    end if;
    is_first := pg_try_advisory_lock(postmill._runners_lock());
    for try in 1 .. 20 loop
        joined := pg_try_advisory_lock_shared(postmill._runners_lock());
        exit when joined;
        perform pg_sleep(0.01);
    end loop;
    if is_first then
        perform pg_advisory_unlock(postmill._runners_lock());
    end if;
    if is_first and starting then
        perform postmill._fire_at_start(s.schedule_id) from postmill.schedules as s
        where s.paused_at is null and lower(trim(s.recurrence)) = '@reboot';
    end if;
    return case when joined then is_first end;
end
$$;
