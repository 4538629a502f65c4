-- Makes a schedule, or changes the one of that name; returns its id. Where neither the recurrence nor the zone is
-- another one, the next tick stays. `run_as`: of a SQL command, else null. What it has called so far goes.
-- Called by schedule, schedule_sql and schedule_call, which have checked the arguments. Locks: the schedule's row, then
-- its call. Errors: those of the trigger that watches over commands.
create or replace function postmill._put_schedule(
    name text, recurrence text, timezone text, target jsonb, run_as text, overlap text, catch_up text, jitter interval
) returns bigint
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    with put as (
        insert into postmill.schedules as s
               (name, recurrence, timezone, target, run_as, overlap, catch_up, jitter, changed_at)
        values (_put_schedule.name, _put_schedule.recurrence, _put_schedule.timezone, _put_schedule.target,
                _put_schedule.run_as, _put_schedule.overlap, _put_schedule.catch_up, _put_schedule.jitter,
                postmill.now())
        on conflict on constraint schedules_name_key do update
           set recurrence = excluded.recurrence, timezone = excluded.timezone, target = excluded.target,
               run_as = excluded.run_as, job_name = case when excluded.run_as is not null then s.job_name end,
               overlap = excluded.overlap, catch_up = excluded.catch_up, jitter = excluded.jitter,
               declared_by = null, problem = null, changed_at = postmill.now(),
               next_at = case when (s.recurrence, s.timezone) = (excluded.recurrence, excluded.timezone)
                              then s.next_at end
        returning s.schedule_id
    ), gone as (
        delete from postmill.scheduled_calls as asked using put where asked.schedule_id = put.schedule_id
    )
    select put.schedule_id from put;
$$;
