-- Calls that schedules make, calls of the project's functions, and which schedules fail. Lock order: a schedule's row,
-- calls by id, call_responses, then schedule_runs.

-- What a schedule calls at each tick: one row for each schedule of a call (its target is {"call": true}). Its role
-- replaces the row and never changes it, so that nobody else's address meets its secrets. `secrets` and `created_by`
-- are not for that role: it may insert into the other columns only.
create table postmill.scheduled_calls (
    schedule_id   bigint primary key references postmill.schedules on delete cascade,
    method        text not null check (method in ('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD')),
    function_name text,                         -- of the project's functions
    url           text,                         -- may hold {{secret:NAME}}
    headers       jsonb not null default '{}' check (jsonb_typeof(headers) = 'object'), -- likewise
    body          bytea,
    timeout_ms    integer not null check (timeout_ms between 1 and 3600000),
    max_attempts  integer not null check (max_attempts between 1 and 100),
    secrets       text[] not null default '{}', -- those that `created_by` was granted when it scheduled the call
    created_by    name not null default current_user, -- as whom each tick calls
    check (num_nonnulls(function_name, url) = 1)
);
create trigger check_secrets before insert or update on postmill.scheduled_calls
    for each row execute function postmill._check_secrets();

alter table postmill.calls
    alter column url drop not null,
    add column function_name text,              -- of the project's functions; null: `url` is called
    add column run_id bigint,                   -- the run of a schedule whose call it is
    add column waits_for bigint,                -- it is not sent before this call has ended
    add constraint calls_callee check (num_nonnulls(function_name, url) = 1);
alter table postmill.call_responses
    alter column url drop not null,
    add column function_name text,
    add column run_id bigint;

alter table postmill.schedule_runs add column call_id bigint; -- null: it was not a call, or was not asked for
create index schedule_runs_calls on postmill.schedule_runs (schedule_id) where status = 'sent' and call_id is not null;

-- What came of a schedule's work the last time, however many ticks were skipped since.
create index schedule_runs_done on postmill.schedule_runs (schedule_id, tick)
    where status in ('succeeded', 'failed', 'cancelled', 'unknown');

-- A call's run ends with it. The function follows with all others.
create or replace function postmill._end_call_run() returns trigger language plpgsql as 'begin return null; end';
create trigger end_run after insert or update of outcome_unknown on postmill.call_responses
    for each row when (new.run_id is not null) execute function postmill._end_call_run();

drop function if exists postmill.fire_schedules(bigint[], timestamptz[], timestamptz[], timestamptz[], text[]);
