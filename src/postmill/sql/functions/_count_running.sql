-- How many messages of a queue run now, from the claims by id. Of more than `most` claimed ids the first `most` are
-- looked up and stand for the rest: 10,000 lookups take about 20 ms, 500 about one. `estimated` says whether that was
-- so. The claims are read here and not through _claimed, which would take every id apart. The lease is compared
-- outside of the lookup: by statistics from before a drain began no row had one, and the index on vt was walked over
-- all leases for each id, which took 1.5 s for a thousand.
-- Called by _depth and desired_workers. Takes no locks. Errors: none.
create or replace function postmill._count_running(
    queue text, relation regclass, most integer, out running bigint, out estimated boolean
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    claimed constant bigint := coalesce((
        select sum(cardinality(claim.msg_ids)) from postmill.claims as claim where claim.queue_name = queue), 0);
begin
    running := 0;
    if claimed > 0 then
        execute format(
            'select count(*)
             from (
                 select each.msg_id, each.read_ct
                 from postmill.claims as claim
                 cross join lateral unnest(claim.msg_ids, claim.read_cts) as each (msg_id, read_ct)
                 where claim.queue_name = $1 limit $2
             ) as held
             cross join lateral (
                 select queued.vt from %s as queued
                 where queued.msg_id = held.msg_id and queued.read_ct = held.read_ct
                 limit 1
             ) as there
             where there.vt > statement_timestamp()',
            relation)
        into running using queue, most;
    end if;
    estimated := claimed >= most;
    if estimated then
        running := running * claimed / most;
    end if;
end
$$;
