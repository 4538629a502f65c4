-- How many messages of a queue run now, from the claims by id. Of more than 10,000 claimed ids the first 10,000 are
-- looked up and stand for the rest: 10,000 lookups take about 20 ms. `estimated` says whether that was so.
-- Called by _depth. Takes no locks. Errors: none.
create or replace function postmill._count_running(
    queue text, relation regclass, out running bigint, out estimated boolean
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    most constant integer := 10000;
    ids           bigint[];
    read_cts      integer[];
    claimed       bigint;
begin
    select array_agg(held.msg_id), array_agg(held.read_ct)
    into ids, read_cts
    from (select held.msg_id, held.read_ct from postmill._claimed(queue) as held limit most) as held;
    execute format(
        'select count(*) from unnest($1, $2) as held (msg_id, read_ct)
         cross join lateral (
             select from %s as queued
             where queued.msg_id = held.msg_id and queued.read_ct = held.read_ct and queued.vt > statement_timestamp()
             limit 1
         ) as there',
        relation)
    into running using ids, read_cts;
    estimated := coalesce(cardinality(ids), 0) >= most;
    if estimated then
        select sum(cardinality(claim.msg_ids)) into claimed
        from postmill.claims as claim where claim.queue_name = queue;
        running := running * claimed / most;
    end if;
end
$$;
