-- What is sent again and again. Lock order: a schedule's row, then those of what it sends, then its runs.
create table postmill.schedules (
    schedule_id bigint generated always as identity primary key,
    name        text not null unique,
    recurrence  text not null,          -- a cron expression, a macro or a number of seconds, as it was given
    timezone    text not null,
    target      jsonb not null,         -- {"queue", "message"} and what _check_schedule_options allows;
                                        -- or a SQL command: {"command"}
    run_as      text,                   -- of a command: the user it runs as; only that user can write it
    job_name    text,                   -- the name that cron.schedule was given
    overlap     text not null check (overlap in ('skip', 'queue', 'allow')),
    catch_up    text not null check (catch_up in ('none', 'one', 'all')),
    jitter      interval not null check (jitter between interval '0' and interval '1 day'),
    declared_by text,                   -- the worker whose code declares it; null: made in SQL or by a command
    created_by  text not null default session_user,
    created_at  timestamptz not null default clock_timestamp(),
    paused_at   timestamptz,
    paused_by   text,
    changed_at  timestamptz not null default clock_timestamp(), -- made, changed or resumed: ticks count from here
    next_at     timestamptz,            -- null: no scheduler has read it since it was made, changed or resumed
    problem     text,                   -- why it can't fire; it is read again when it is changed
    constraint schedules_job_key unique (run_as, job_name),
    -- Times that no client can read would end every scheduler: cron lets users write these two.
    check (changed_at >= timestamptz '1970-01-01 00:00+00' and changed_at < timestamptz '9999-12-31 23:00+00'),
    check (next_at >= timestamptz '1970-01-01 00:00+00' and next_at < timestamptz '9999-12-31 23:00+00'),
    check ((run_as is not null) = (target ? 'command'))
);
create index schedules_due on postmill.schedules (next_at nulls first) where paused_at is null and problem is null;

-- Processes that rest until the next tick are told of a schedule that is new, changed or resumed. The function follows
-- with all others.
create or replace function postmill._tell_schedulers() returns trigger language plpgsql as 'begin return null; end';
create trigger tell_schedulers after insert or update of changed_at on postmill.schedules
    for each statement execute function postmill._tell_schedulers();

-- One row a tick that fired or was skipped: a tick can't fire twice.
create table postmill.schedule_runs (
    schedule_id bigint not null references postmill.schedules on delete cascade,
    tick        timestamptz not null,
    fired_at    timestamptz not null default clock_timestamp(),
    queue_name  text collate "C",
    msg_id      bigint,                 -- null: it was not sent
    status      text not null check (status in (
                    'sent', 'pending', 'running', 'succeeded', 'failed', 'cancelled', 'skipped', 'unknown')),
    reason      text,
    ended_at    timestamptz,
    run_id      bigint generated always as identity unique,
    started_at  timestamptz,            -- these four are a SQL command's: when it began,
    pid         integer,                -- in which session of the server,
    command     text,                   -- its text,
    returned    text,                   -- and its command tag
    primary key (schedule_id, tick)
);
create index schedule_runs_open on postmill.schedule_runs (fired_at) where status = 'sent';
create index schedule_runs_commands on postmill.schedule_runs (schedule_id, tick)
    where status in ('pending', 'running');
create index schedule_runs_ended on postmill.schedule_runs (ended_at) where status <> 'sent';
