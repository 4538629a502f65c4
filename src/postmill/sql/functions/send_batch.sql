-- Sends many messages in one call and returns their ids in the order of the messages; an empty array sends nothing.
-- `delay` and `run_at` hold for all; `headers` has one entry a message (entries may be null). Otherwise as send().
-- Called by applications and the Python client. Runs with the caller's rights. Locks: none beyond the insert's.
-- Errors: PM001 no such queue, PM003 an argument out of its range, PM004 headers on a pgmq older than 1.5.
create or replace function postmill.send_batch(
    queue    text,
    messages jsonb[],
    delay    interval default null,
    run_at   timestamptz default null,
    headers  jsonb[] default null
) returns setof bigint
language plpgsql volatile
set search_path = ''
as $$
declare
    due_at timestamptz := postmill._due_at(send_batch.delay, send_batch.run_at);
begin
    perform postmill._queue_table(queue);
    if messages is null or array_position(messages, null) is not null then
        raise exception 'a message of the batch is null'
            using errcode = 'PM003', hint = 'For the JSON value null send ''null''::jsonb.';
    elsif cardinality(headers) <> cardinality(messages) then
        raise exception '% headers for % messages', cardinality(headers), cardinality(messages)
            using errcode = 'PM003', hint = 'Give one entry a message, null where a message has none.';
    elsif exists (select from unnest(headers) as header where jsonb_typeof(header) <> 'object') then
        raise exception 'each entry of headers must be a JSON object or null'
            using errcode = 'PM003', hint = 'For example: ''{"tenant": "acme"}''::jsonb.';
    end if;
    if cardinality(messages) = 0 then
        return;
    end if;
    if postmill._has_headers() then
        return query select pgmq.send_batch(
            queue_name => queue, msgs => messages, headers => send_batch.headers, delay => due_at);
    elsif array_remove(headers, null) <> '{}' then
        perform postmill._refuse_headers();
    else
        return query select pgmq.send_batch(
            queue_name => queue, msgs => messages, delay => postmill._seconds_until(due_at));
    end if;
end
$$;
