-- The id of the `nth` message that is in a queue, from the id `high` down; null when there are fewer with ids from
-- `low` on. Looks at the ids only.
-- Called by the statement search_bottom. Takes no locks. Errors: PM001.
create or replace function postmill._nth_queued(queue text, low bigint, high bigint, nth integer) returns bigint
language plpgsql stable
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    reached bigint;
begin
    execute format(
        'select msg_id from %s where msg_id >= $1 and msg_id <= $2 order by msg_id desc offset $3 - 1 limit 1',
        postmill._queue_table(queue))
    into reached using low, high, nth;
    return reached;
end
$$;
