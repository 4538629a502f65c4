-- Groups of a queue whose messages wait for a limit, in order of keys, with what holds them up in words; the key '' is
-- the whole queue. The first `most` groups that have a waiting message are looked at, one index probe each; none where
-- the queue has no gates.
-- Called by the statements read_held_up. Takes no locks. Errors: none.
create or replace function postmill._held_up_groups(queue text, most integer)
returns table (group_key text, held_up_by text)
language sql stable
set search_path = pg_catalog, pg_temp
set jit = off
set enable_sort = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
    with recursive waiting as (
        (select gate.group_key, 1 as place from postmill.gates as gate
         where gate.queue_name = lower(queue) and gate.claim_id is null order by gate.group_key limit 1)
        union all
        select (select gate.group_key from postmill.gates as gate
                where gate.queue_name = lower(queue) and gate.claim_id is null
                  and gate.group_key > waiting.group_key order by gate.group_key limit 1),
            place + 1
        from waiting where waiting.group_key is not null and place < most
    ), asked as (
        select waiting.group_key from waiting where waiting.group_key > ''
        union all
        select '' where exists (select from waiting)
    )
    select asked.group_key, reached.said
    from asked
    cross join lateral postmill._limit_reached(queue, asked.group_key) as reached
    where reached.cause is not null;
$$;
