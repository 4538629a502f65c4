-- Makes a queue whose messages are calls, or changes the one of that name: each message is sent as the body of a POST,
-- to one of the project's functions (`function`, with the project's service key) or to a `url` with exactly `headers`.
-- 2xx completes the message and is kept as its result; anything else is a failed attempt. At most `workers` calls of it
-- run at once over all processes; a change holds at once. `timeout` ends a call. It is an ordinary queue: send, pause,
-- cancel, replay and drop_queue work as with any other.
-- Called by people and the command line. Locks: as create_queue and limit_queue, then the call queue's row. Errors:
-- those of create_queue and limit_queue, PM003 an argument out of its range, insufficient_privilege a secret that was
-- not granted.
create or replace function postmill.create_call_queue(
    name         text,
    function     text default null,
    url          text default null,
    headers      jsonb default '{}',
    workers      integer default 4,
    max_attempts integer default 3,
    timeout      interval default '1 minute'
) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    limit_ms constant bigint := ceil(extract(epoch from timeout) * 1000);
begin
    perform postmill._check_callee('call queue', create_call_queue.function, create_call_queue.url);
    if workers is null then
        raise exception 'workers is null' using errcode = 'PM003', hint = 'Four are the default.';
    end if;
    perform postmill._check_call(coalesce(create_call_queue.url, 'http://function'), coalesce(headers, '{}'),
                                 limit_ms, max_attempts);
    perform postmill.create_queue(name);
    perform postmill.limit_queue(name, workers);
    insert into postmill.call_queues as known (queue_name, function_name, url, headers, max_attempts, timeout_ms)
    values (name, create_call_queue.function, create_call_queue.url, coalesce(create_call_queue.headers, '{}'),
            create_call_queue.max_attempts, limit_ms)
    on conflict (queue_name) do update
       set function_name = excluded.function_name, url = excluded.url, headers = excluded.headers,
           max_attempts = excluded.max_attempts, timeout_ms = excluded.timeout_ms, created_by = current_user,
           changed_at = clock_timestamp();
    perform pg_notify('postmill:call_queues', '');
end
$$;
