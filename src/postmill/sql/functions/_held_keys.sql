-- Which of these unique keys are held, and by which message: one that is in the queue, or one whose time has not come.
-- A message is the key's own when id, time of sending and header agree. A header alone would let another client's
-- message hold a key, and an id alone one that was sent after the queue was made again or its sequence set back.
-- Called by _take_keys and _prune_keys. Takes no locks. Errors: PM001.
create or replace function postmill._held_keys(queue text, keys text[])
returns table (unique_key text, msg_id bigint)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    -- With `limit` a lateral subquery is a look into an index for each key, whatever the statistics say.
    return query execute format(
        'select known.unique_key, known.msg_id
         from unnest($2) as asked (unique_key)
         cross join lateral (
             select * from postmill.unique_keys as row
             where row.queue_name = $1 and row.unique_key = asked.unique_key limit 1) as known
         where case when known.expires_at is not null then known.expires_at > postmill.now() else (
             select true from %s as queued
             where queued.msg_id = known.msg_id and queued.enqueued_at = known.enqueued_at
               and queued.headers ->> ''postmill-unique-key'' = known.unique_key limit 1) end',
        postmill._queue_table(queue))
    using queue, keys;
end
$$;
