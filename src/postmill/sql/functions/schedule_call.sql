-- Makes a schedule whose ticks make a call, or changes the one of that name; returns its id. What is called: a `url`,
-- or a `function` of the project's with the service key. `body`, `method`, `params`, `headers`, `timeout`,
-- `max_attempts`: as call's. Each tick asks for the call as the role that calls this, whose right and whose secrets are
-- looked at now and at each tick. `overlap`: what a tick does while the call of the last one has not ended: skip (asks
-- for none), queue (its call waits for that one) or allow. `catch_up`, `timezone`, `jitter`: as schedule's.
-- Called by people, applications and the command line. Locks: the schedule's row, then its call. Errors: PM003 an
-- argument out of its range; insufficient_privilege a secret that was not granted.
create or replace function postmill.schedule_call(
    name         text,
    schedule     text,
    url          text default null,
    function     text default null,
    body         jsonb default null,
    method       text default 'POST',
    params       jsonb default '{}',
    headers      jsonb default '{}',
    timeout      interval default '5 seconds',
    max_attempts integer default 1,
    timezone     text default 'UTC',
    overlap      text default 'skip',
    catch_up     text default 'one',
    jitter       interval default '0'
) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    asked record;
    made  bigint;
begin
    perform postmill._check_schedule(name, schedule, '{}', timezone, overlap, catch_up, jitter, '{}');
    perform postmill._check_callee('call', schedule_call.function, schedule_call.url);
    if schedule_call.function is not null and params <> '{}' then
        raise exception 'params are the query of a url, and a function has none'
            using errcode = 'PM003', hint = 'Give them to the function as its body.';
    end if;
    asked := postmill._call_of(url, body, method, params, headers, timeout, max_attempts);
    made := postmill._put_schedule(
        schedule_call.name, schedule_call.schedule, schedule_call.timezone, '{"call": true}', null,
        schedule_call.overlap, schedule_call.catch_up, schedule_call.jitter);
    insert into postmill.scheduled_calls
           (schedule_id, method, function_name, url, headers, body, timeout_ms, max_attempts)
    values (made, asked.verb, schedule_call.function, asked.address, asked.fields, asked.content, asked.timeout_ms,
            schedule_call.max_attempts);
    return made;
end
$$;
