-- Sends a dead letter's message again, with what it asked for, and returns its id; null when another message holds its
-- unique key. A key that was sent with unique_for may still be the letter's own: it passes to the new message, for what
-- is left of its time. Headers that are no object (another client may send such) are kept inside one.
-- Called by replay. Locks: that key, then as send. Errors as send.
create or replace function postmill._send_letter(queue text, message jsonb, letter postmill.dead_letters) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    headers jsonb := case when jsonb_typeof(letter.headers) <> 'object'
        then jsonb_build_object('postmill-odd-headers', letter.headers) else letter.headers end;
    key     text := headers ->> 'postmill-unique-key';
    left_of interval;  -- of the time for which the letter itself holds the key
    sent    record;
begin
    if not postmill._has_headers() then
        return postmill.send(queue => queue, message => message);
    end if;
    headers := coalesce(headers, '{}') - '{postmill-dependents,postmill-after}'::text[]
        || jsonb_build_object('postmill-replayed-from', letter.letter_id);
    select known.expires_at - postmill.now() into left_of
    from postmill.unique_keys as known
    where known.queue_name = lower(queue) and known.unique_key = key and known.expires_at > postmill.now()
      and known.msg_id = letter.msg_id and known.enqueued_at = letter.enqueued_at
    for update;
    select job.msg_id, job.existed into sent
    from postmill.send_jobs(
        queue, array[message], headers => array[headers],
        unique_keys => case when length(key) between 1 and 200 then array[key] end,
        unique_for => left_of, on_conflict => case when left_of is null then 'skip' else 'replace' end,
        group_keys => nullif(array[postmill._group_of(headers)], array[null::text])) as job;
    return case when not sent.existed then sent.msg_id end;
end
$$;
