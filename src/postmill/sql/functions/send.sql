-- Sends one message and returns its id. Visible at once, after `delay`, or at `run_at`; atomic with the caller's
-- transaction. `unique_key`: sent only when no message with that key is in the queue (or, with `unique_for`, was sent
-- so long ago); else `on_conflict`: skip (the id of the one that is there), replace its payload and time, or raise.
-- `priority`: 0 to 9, the higher the sooner. `group_key`: the group whose limits hold. `after`: messages to wait for,
-- as 'queue:id'; `on_source_dead`: cancel, skip (run anyway) or block. `then_send`, `else_send`: a message to send in
-- the transaction that completes, or kills or cancels, this one.
-- Called by applications, by the Python client and by replay(). Runs with the caller's rights: see
-- docs/reference/sql-functions.md for what a sender must be granted. Locks: none beyond the insert's, unless an option
-- is used: then as _send. Errors: PM001 no such queue, PM003 an argument out of its range, PM004 headers on a pgmq
-- older than 1.5, PM007 the key is taken.
create or replace function postmill.send(
    queue          text,
    message        jsonb,
    delay          interval default null,
    run_at         timestamptz default null,
    headers        jsonb default null,
    unique_key     text default null,
    unique_for     interval default null,
    on_conflict    text default 'skip',
    priority       integer default null,
    group_key      text default null,
    after          text[] default null,
    on_source_dead text default 'cancel',
    then_send      jsonb default null,
    else_send      jsonb default null
) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
declare
    due_at timestamptz := postmill._due_at(send.delay, send.run_at);
    sent   bigint;
begin
    perform postmill._queue_table(queue);
    if message is null then
        raise exception 'the message is null'
            using errcode = 'PM003', hint = 'For the JSON value null send ''null''::jsonb.';
    elsif jsonb_typeof(headers) <> 'object' then
        raise exception 'headers must be a JSON object, not %', jsonb_typeof(headers)
            using errcode = 'PM003', hint = 'For example: ''{"tenant": "acme"}''::jsonb.';
    end if;
    if num_nonnulls(unique_key, unique_for, priority, group_key, after, then_send, else_send) > 0
       or on_conflict is distinct from 'skip' or on_source_dead is distinct from 'cancel' then
        select job.msg_id into sent
        from postmill.send_jobs(
            queue, array[message], null, due_at, array[headers], nullif(array[unique_key], array[null::text]),
            unique_for, on_conflict, array[priority], array[group_key],
            case when after is not null then array[to_jsonb(after)] end, on_source_dead, then_send, else_send) as job;
    elsif postmill._has_headers() then
        select id into sent
        from pgmq.send(queue_name => queue, msg => message, headers => send.headers, delay => due_at) as id;
    else
        if headers is not null then
            perform postmill._refuse_headers();
        end if;
        select id into sent
        from pgmq.send(queue_name => queue, msg => message, delay => postmill._seconds_until(due_at)) as id;
    end if;
    return sent;
end
$$;
