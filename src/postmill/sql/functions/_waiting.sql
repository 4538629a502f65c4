-- Which of the messages `ids` still carry their key (the entry of `keys` at the same place) and wait to be run: those
-- that are ready, scheduled, parked, or due for another attempt. A message that is leased does not wait, and one that
-- was read is taken for leased, as another client's, unless our record of a failed attempt says how that read ended.
-- Called by _lock_waiting. Takes no locks. Errors: PM001.
create or replace function postmill._waiting(queue text, keys text[], ids bigint[]) returns bigint[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    relation constant regclass := postmill._queue_table(queue);
    -- A table of an older pgmq has no such column. The row as a whole may hold a payload that the sender may not read.
    last_read text := case when exists (
        select from pg_attribute as known
        where known.attrelid = relation and known.attname = 'last_read_at' and not known.attisdropped)
        then 'queued.last_read_at' else 'null' end;
    waiting bigint[];
begin
    execute format(
        'select array(
             select queued.msg_id
             from %1$s as queued
             join unnest($2, $3) as wanted (unique_key, msg_id) using (msg_id)
             where queued.msg_id = any ($3) and queued.headers ->> ''postmill-unique-key'' = wanted.unique_key
               and (queued.read_ct = 0 or queued.vt <= clock_timestamp() or queued.vt >= postmill._parked_until()
                    or postmill._failed_since_read($1, queued.msg_id, queued.read_ct, queued.enqueued_at,
                           %2$s::timestamptz))
             order by queued.msg_id)',
        relation, last_read)
    into waiting using queue, keys, ids;
    return array(select id from unnest(waiting) as id where id <> all (postmill._running(queue, waiting)) order by id);
end
$$;
