-- Makes a schedule, or changes the one of that name; returns its id. Each tick sends `message` to `queue`. `options`:
-- what a message can ask for, as send's arguments: {"headers", "delay_s", "priority", "group_key", "unique_key",
-- "unique_for_s", "on_conflict", "then_send", "else_send"}.
-- `overlap`: what a tick does while the message of the last one is not done: skip (fires nothing), queue (its message
-- waits for that one) or allow. `catch_up`: ticks that nobody fired in time: none, one for all, or all. `jitter`:
-- the message becomes visible up to so much later.
-- Expressions are read by the scheduler: what it can't read stands as `problem` in schedule_list.
-- Called by people, applications and the command line. Locks: the schedule's row. Errors: PM001 no such queue, PM003
-- an argument out of its range.
create or replace function postmill.schedule(
    name     text,
    schedule text,
    queue    text,
    message  jsonb default '{}',
    timezone text default 'UTC',
    overlap  text default 'skip',
    catch_up text default 'one',
    jitter   interval default '0',
    options  jsonb default '{}'
) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    perform postmill._named_table(queue);
    perform postmill._check_schedule(name, schedule, message, timezone, overlap, catch_up, jitter, options);
    return postmill._put_schedule(
        schedule.name, schedule.schedule, schedule.timezone,
        (select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each(options) where value <> 'null')
        || jsonb_build_object('queue', queue, 'message', message),
        null, schedule.overlap, schedule.catch_up, schedule.jitter);
end
$$;
