-- Sends one message and returns its id. Visible at once, after `delay`, or at `run_at`; atomic with the caller's
-- transaction.
-- Called by applications, by the Python client and by replay(). Runs with the caller's rights: see
-- docs/reference/sql-functions.md for what a sender must be granted. Locks: none beyond the insert's.
-- Errors: PM001 no such queue, PM003 an argument out of its range, PM004 headers on a pgmq older than 1.5.
create or replace function postmill.send(
    queue   text,
    message jsonb,
    delay   interval default null,
    run_at  timestamptz default null,
    headers jsonb default null
) returns bigint
language plpgsql volatile
set search_path = ''
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
    if postmill._has_headers() then
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
