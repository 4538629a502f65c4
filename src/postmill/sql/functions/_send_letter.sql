-- Sends a dead letter's message again, with what it asked for, and returns its id; null when another message holds its
-- unique key. Headers that are no object (another client may send such) are kept inside one.
-- Called by replay. Locks and errors as send.
create or replace function postmill._send_letter(queue text, message jsonb, letter postmill.dead_letters) returns bigint
language plpgsql volatile
set search_path = ''
as $$
declare
    headers jsonb := case when jsonb_typeof(letter.headers) <> 'object'
        then jsonb_build_object('postmill-odd-headers', letter.headers) else letter.headers end;
    key     text := headers ->> 'postmill-unique-key';
    sent    record;
begin
    if not postmill._has_headers() then
        return postmill.send(queue => queue, message => message);
    end if;
    headers := coalesce(headers, '{}') - '{postmill-dependents,postmill-after}'::text[]
        || jsonb_build_object('postmill-replayed-from', letter.letter_id);
    select job.msg_id, job.existed into sent
    from postmill.send_jobs(
        queue, array[message], headers => array[headers],
        unique_keys => case when length(key) between 1 and 200 then array[key] end,
        group_keys => nullif(array[postmill._group_of(headers)], array[null::text])) as job;
    return case when not sent.existed then sent.msg_id end;
end
$$;
