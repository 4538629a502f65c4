-- Ids of messages of a queue that wait for others, or for a place in their group: of each kind at most `most` (null:
-- all), the lowest first, with the time from which the message could have run. Rows whose message is gone are among
-- them.
-- The order of the index is kept whatever the statistics say: a sort would read all that wait.
-- Called by _in_queue and _count_waiting. Takes no locks. Errors: none.
create or replace function postmill._waiting_ids(queue text, most bigint)
returns table (msg_id bigint, due_at timestamptz)
language sql stable
set search_path = pg_catalog, pg_temp
set jit = off
set enable_sort = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
    (select gate.msg_id, gate.rank from postmill.gates as gate
     where gate.queue_name = lower(queue) and gate.claim_id is null order by gate.msg_id limit most)
    union all
    (select held_up.msg_id, held_up.due_at from postmill.blocked as held_up
     where held_up.queue_name = lower(queue) order by held_up.msg_id limit most);
$$;
