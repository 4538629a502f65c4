-- Makes a job, or changes the caller's job of that name. Its schedule has the job's name; where another schedule has
-- that name, or a transaction of another user has held it for a second, the user's behind it; and where that is taken
-- too, one that can't be known in advance. Errors: invalid_parameter_value, insufficient_privilege.
create or replace function cron._put(job_name text, schedule text, command text, active boolean) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    made     bigint;
    names    text[] := array[job_name, format('%s (%s)', job_name, current_user),
                             format('%s (%s)', coalesce(job_name, 'cron job'), gen_random_uuid())];
    place    integer := case when job_name is null then 3 else 1 end;
    patience text := current_setting('lock_timeout');
    broken   text;
begin
    perform cron._check(schedule);
    if length(job_name) not between 1 and 200 then
        raise exception 'the name of a job has 1 to 200 characters' using errcode = 'invalid_parameter_value';
    end if;
    loop
        begin
            perform set_config('lock_timeout', case when place < 3 then '1s' else patience end, true);
            insert into cron.own_job as job
                   (name, job_name, recurrence, target, run_as, paused_at)  -- its times are the view's own
            values (names[place], _put.job_name, trim(schedule), jsonb_build_object('command', command), current_user,
                    case when not active then clock_timestamp() end)
            on conflict (run_as, job_name) do update
               set recurrence = excluded.recurrence, target = excluded.target, paused_at = excluded.paused_at,
                   changed_at = excluded.changed_at, problem = null,
                   next_at = case when job.recurrence = excluded.recurrence and job.paused_at is null
                                  then job.next_at end
            returning schedule_id into made;
            perform set_config('lock_timeout', patience, true);
            exit;
        exception when unique_violation or lock_not_available then
            get stacked diagnostics broken = constraint_name;
            if place = 3 or broken not in ('schedules_name_key', '') then
                raise;
            end if;
            place := place + 1;
        end;
    end loop;
    if job_name is null then
        begin
            perform set_config('lock_timeout', '1s', true);
            update cron.own_job as job set name = format('cron job %s', made) where job.schedule_id = made;
            perform set_config('lock_timeout', patience, true);
        exception when unique_violation or lock_not_available then
            null;  -- somebody has that name: the job keeps its own
        end;
    end if;
    return made;
end
$$;
comment on function cron._put is 'Facade cron of Postmill: makes or changes a job.';
