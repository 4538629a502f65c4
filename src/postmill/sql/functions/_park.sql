-- Gives messages a place among those that wait for their group: `keys` names the group of each ('' where a message of
-- a limited queue has none), `ranks` when it may start. A message that had a place, or held one, waits again. The
-- messages' rows are parked by the caller (their vt is _parked_until()). A rank in the past becomes now, by the clock
-- read once the queue's table is locked: a worker whose last look showed no writer has no earlier rank to expect. No
-- two are equal, so that a claim can pass by the gates of a large batch that are gone.
-- The group's own row is made by the worker that claims: made here, two senders in long transactions would wait for
-- each other.
-- Called by _send, _send_grouped, _block, release and retry. Runs with the caller's rights. Lock order: the queue's
-- table (ROW EXCLUSIVE), gates in order of ids. Errors: PM001 no such queue.
create or replace function postmill._park(queue text, ids bigint[], keys text[], ranks timestamptz[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    at timestamptz;
begin
    execute format('lock table %s in row exclusive mode', postmill._queue_table(queue));
    at := clock_timestamp();
    insert into postmill.gates (queue_name, group_key, rank, msg_id)
    select lower(_park.queue), parked.key, greatest(parked.rank, at) + parked.place * interval '1 microsecond',
           parked.id
    from unnest(ids, keys, ranks) with ordinality as parked (id, key, rank, place)
    order by parked.id
    on conflict (queue_name, msg_id) do update
       set group_key = excluded.group_key, rank = excluded.rank, claim_id = null;
end
$$;
