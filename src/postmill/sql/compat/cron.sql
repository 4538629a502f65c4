-- The functions and views that people know from pg_cron; applied only where no schema cron is here already. A job is a
-- schedule of a SQL command: postmill.schedules says what it is, and the scheduler of any process runs it. As with
-- pg_cron, whoever may use the schema may schedule: grant usage on schema cron; and, since a command is a function of
-- its user: grant usage, create on schema postmill_commands. The functions run as their caller: that is how a job comes
-- to belong to its user.
create schema if not exists cron;
comment on schema cron is 'Facade of Postmill: jobs as pg_cron has them.';

-- The jobs that the caller may change: the user's own; all, for the schema's owner and for superusers. The check option
-- keeps a job from being made into a schedule of messages.
create or replace view cron.own_job with (security_barrier) as
select s.schedule_id, s.name, s.job_name, s.recurrence, s.timezone, s.target, s.run_as, s.overlap, s.catch_up, s.jitter,
       s.paused_at, s.paused_by, s.changed_at, s.next_at, s.problem
  from postmill.schedules as s
 where s.run_as is not null
   and (s.run_as = current_user
        or pg_has_role((select n.nspowner from pg_namespace as n where n.nspname = 'postmill'), 'usage'))
  with check option;
-- A right to write the whole view, or to delete from it, would let every user lock the tables behind it. So rights are
-- given on columns, and jobs are removed through a view of its own.
revoke all on cron.own_job from public;
grant select,
      insert (name, job_name, recurrence, timezone, target, run_as, overlap, catch_up, jitter, paused_at, changed_at),
      update (name, recurrence, target, paused_at, changed_at, next_at, problem)
    on cron.own_job to public;

-- What is inserted here is removed, where it is a job that the inserting user may change. That user stands in the
-- second column, whose default can't be overridden: there is no right to write it.
create or replace view cron.removed_job as
select null::bigint as schedule_id, null::name as removed_by where false;
alter view cron.removed_job alter column removed_by set default current_user;
grant insert (schedule_id) on cron.removed_job to public;

-- SECURITY DEFINER: see the view. The owner of the schema may drop the function of the job too.
create or replace function cron._remove_job() returns trigger
language plpgsql volatile security definer
set search_path = ''
as $$
begin
    delete from postmill.schedules as s
    where s.schedule_id = new.schedule_id and s.run_as is not null
      and (s.run_as = new.removed_by
           or pg_has_role(new.removed_by, (select n.nspowner from pg_namespace as n where n.nspname = 'postmill'),
                          'usage'));
    return case when found then new end;
end
$$;
revoke execute on function cron._remove_job() from public;
create or replace trigger remove_job instead of insert on cron.removed_job
    for each row execute function cron._remove_job();

-- As pg_cron's table, to be read.
create or replace view cron.job with (security_barrier) as
select job.schedule_id as jobid, job.recurrence as schedule, job.target ->> 'command' as command,
       'localhost'::text as nodename, coalesce(inet_server_port(), current_setting('port')::integer) as nodeport,
       current_database()::text as database, job.run_as as username, job.paused_at is null as active,
       job.job_name as jobname
  from cron.own_job as job;
grant select on cron.job to public;

-- As pg_cron's table, to be read; the owner of the schema, and whoever is granted it, tidies up: rows can be deleted.
-- Not every user, since the right to delete is one to lock what is behind the view. Old runs are deleted anyway.
create or replace view cron.job_run_details with (security_barrier) as
select run.schedule_id as jobid, run.run_id as runid, run.pid as job_pid, current_database()::text as database,
       job.run_as as username, coalesce(run.command, job.target ->> 'command') as command,
       case run.status when 'pending' then 'starting' when 'unknown' then 'failed' else run.status end as status,
       case when run.status = 'failed' and run.started_at is not null then 'ERROR:  ' || run.reason
            when run.returned = 'SELECT 1' then '1 row'
            when run.returned like 'SELECT %' then substr(run.returned, 8) || ' rows'
            else coalesce(run.reason, run.returned) end as return_message,
       run.started_at as start_time, run.ended_at as end_time
  from postmill.schedule_runs as run
  join cron.own_job as job using (schedule_id)
 where run.status <> 'skipped';
revoke all on cron.job_run_details from public;
grant select on cron.job_run_details to public;

-- Deletes a run that the caller sees, unless it is not done.
create or replace function cron._delete_run() returns trigger
language plpgsql volatile security definer
set search_path = ''
as $$
begin
    delete from postmill.schedule_runs as run
    where run.run_id = old.runid and run.ended_at is not null;
    return old;
end
$$;
revoke execute on function cron._delete_run() from public;
create or replace trigger delete_run instead of delete on cron.job_run_details
    for each row execute function cron._delete_run();

-- Refuses a schedule that can't be one. Errors: invalid_parameter_value.
create or replace function cron._check(schedule text) returns void
language plpgsql immutable
set search_path = ''
as $$
declare
    words  text := lower(trim(regexp_replace(schedule, '\s+', ' ', 'g')));
    ranges text := '(?:\*|%1$s(?:-%1$s)?)(?:/[0-9]+)?';
    field  text;
    fields text := '';
begin
    foreach field in array array[
        '[0-5]?[0-9]', '(?:[01]?[0-9]|2[0-3])', '(?:0?[1-9]|[12][0-9]|3[01]|\$|l)',
        '(?:0?[1-9]|1[0-2]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)',
        '(?:[0-7]|sun|mon|tue|wed|thu|fri|sat)']
    loop
        fields := fields || format(' ' || ranges || '(?:,' || ranges || ')*', field);
    end loop;
    if words ~ '^@(yearly|annually|monthly|weekly|daily|midnight|hourly|reboot)$'
       or words ~ '^[1-9][0-9]{0,4} ?s(ec|ecs|econd|econds)?$' and substring(words, '^[0-9]+')::integer <= 86400
       or words ~ ('^' || substr(fields, 2) || '$') then
        return;
    end if;
    raise exception 'invalid schedule: %', schedule
        using errcode = 'invalid_parameter_value',
              hint = 'Five fields, such as 5 4 * * *, a name such as @daily, or a number of seconds: 30 seconds.';
end
$$;

-- Makes a job, or changes the caller's job of that name. Its schedule has the job's name; where another schedule has
-- that name, or a transaction of another user has held it for a second, the user's behind it; and where that is taken
-- too, one that can't be known in advance. Errors: invalid_parameter_value, insufficient_privilege.
create or replace function cron._put(job_name text, schedule text, command text, active boolean) returns bigint
language plpgsql volatile
set search_path = ''
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
                   (name, job_name, recurrence, timezone, target, run_as, overlap, catch_up, jitter,
                    paused_at, changed_at)
            values (names[place], _put.job_name, trim(schedule), 'GMT', jsonb_build_object('command', command),
                    current_user, 'queue', 'none', '0',
                    case when not active then clock_timestamp() end, clock_timestamp())
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

create or replace function cron.schedule(schedule text, command text) returns bigint
language sql volatile strict
set search_path = ''
as $$
    select cron._put(null, schedule, command, true);
$$;

create or replace function cron.schedule(job_name text, schedule text, command text) returns bigint
language sql volatile strict
set search_path = ''
as $$
    select cron._put(job_name, schedule, command, true);
$$;

-- This database only: a command runs where its schedule is. Errors: feature_not_supported for another one, or for
-- another user.
create or replace function cron.schedule_in_database(
    job_name text, schedule text, command text, database text, username text default null, active boolean default true
) returns bigint
language plpgsql volatile
set search_path = ''
as $$
begin
    perform cron._check_place(database, username);
    return cron._put(job_name, schedule, command, coalesce(active, true));
end
$$;

-- Refuses another database and another user. Errors: feature_not_supported.
create or replace function cron._check_place(database text, username text) returns void
language plpgsql stable
set search_path = ''
as $$
begin
    if database <> current_database() then
        raise exception 'a job runs in the database that it is scheduled in, which is %', current_database()
            using errcode = 'feature_not_supported',
                  hint = format('Run postmill migrate in %s, and schedule it there.', database);
    elsif username <> current_user then
        raise exception 'a job runs as the user who schedules it, which is %', current_user
            using errcode = 'feature_not_supported', hint = format('First: set role %I', username);
    end if;
end
$$;

-- Changes the caller's job; null leaves a thing as it is. Errors: undefined_object, invalid_parameter_value,
-- feature_not_supported, insufficient_privilege.
create or replace function cron.alter_job(
    job_id bigint, schedule text default null, command text default null, database text default null,
    username text default null, active boolean default null
) returns void
language plpgsql volatile
set search_path = ''
as $$
begin
    perform cron._check_place(database, username);
    if alter_job.schedule is not null then
        perform cron._check(alter_job.schedule);
    end if;
    update cron.own_job as job
       set recurrence = coalesce(trim(alter_job.schedule), job.recurrence),
           target = case when alter_job.command is null then job.target
                         else jsonb_build_object('command', alter_job.command) end,
           paused_at = case when alter_job.active then null
                            when not alter_job.active then coalesce(job.paused_at, clock_timestamp())
                            else job.paused_at end,
           changed_at = clock_timestamp(), problem = null,
           next_at = case when coalesce(trim(alter_job.schedule), job.recurrence) = job.recurrence
                               and (job.paused_at is null or alter_job.active is not true) then job.next_at end
     where job.schedule_id = job_id;
    if not found then
        raise exception 'there is no job % of yours', job_id
            using errcode = 'undefined_object', hint = 'select * from cron.job';
    end if;
end
$$;

-- Removes the caller's job. Errors: undefined_object.
create or replace function cron.unschedule(job_id bigint) returns boolean
language plpgsql volatile strict
set search_path = ''
as $$
begin
    insert into cron.removed_job (schedule_id) values (job_id);
    if not found then
        raise exception 'there is no job % of yours', job_id
            using errcode = 'undefined_object', hint = 'select * from cron.job';
    end if;
    return true;
end
$$;

create or replace function cron.unschedule(job_name text) returns boolean
language plpgsql volatile strict
set search_path = ''
as $$
begin
    insert into cron.removed_job (schedule_id)
    select job.schedule_id from cron.own_job as job
    where job.job_name = unschedule.job_name and job.run_as = current_user;
    if not found then
        raise exception 'there is no job % of yours', quote_literal(job_name)
            using errcode = 'undefined_object', hint = 'select * from cron.job';
    end if;
    return true;
end
$$;
