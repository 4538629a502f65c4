-- Sends a message to a queue with the headers that it had in another one; `existed`: a message there holds its unique
-- key, and it is not sent. Headers that are no object (another client may send such) are kept inside one.
-- Called by _move. Locks and errors as send_jobs.
create or replace function postmill._send_as(queue text, message jsonb, headers jsonb, run_at timestamptz)
returns table (msg_id bigint, existed boolean)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    given jsonb := case when jsonb_typeof(headers) <> 'object'
        then jsonb_build_object('postmill-odd-headers', headers) else headers end;
    key   text := given ->> 'postmill-unique-key';
begin
    if not postmill._has_headers() then
        return query select postmill.send(queue => queue, message => message, run_at => run_at), false;
        return;
    end if;
    return query select sent.msg_id, sent.existed
    from postmill.send_jobs(
        queue, array[message], run_at => run_at, headers => array[given],
        unique_keys => case when length(key) between 1 and 200 then array[key] end,
        group_keys => nullif(array[postmill._group_of(given)], array[null::text])) as sent;
end
$$;
