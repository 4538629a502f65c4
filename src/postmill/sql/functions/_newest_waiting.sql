-- Ids of the newest messages of a queue, with ids below `before_id` (null: any), that wait for others or for a place
-- in their group. More than `max_rows` of them, since a few may be found to be in another state.
-- The order of the index is kept whatever the statistics say: a sort would read all that wait. A message is found by
-- its id, and its vt is compared after that: the index on vt may hold any number of others.
-- Called by _few_ids. Takes no locks. Errors: PM001.
create or replace function postmill._newest_waiting(queue text, max_rows integer, before_id bigint) returns bigint[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set jit = off
set enable_sort = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
    ids bigint[];
begin
    execute format(
        'select array(
             (select gate.msg_id from postmill.gates as gate
              where gate.queue_name = lower($1) and gate.claim_id is null and gate.msg_id < $3
                and (select queued.vt from %1$s as queued
                     where queued.msg_id = gate.msg_id limit 1) > statement_timestamp()
              order by gate.msg_id desc limit $2)
             union
             (select held_up.msg_id from postmill.blocked as held_up
              where held_up.queue_name = lower($1) and held_up.msg_id < $3
                and (select queued.vt from %1$s as queued
                     where queued.msg_id = held_up.msg_id limit 1) > statement_timestamp()
              order by held_up.msg_id desc limit $2))',
        postmill._queue_table(queue))
    into ids using queue, 2 * max_rows + 100, coalesce(before_id, 9223372036854775807);
    return ids;
end
$$;
