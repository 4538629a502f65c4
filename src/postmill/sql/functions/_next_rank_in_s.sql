-- Seconds until the first message that waits for its group, and may not start at `at` yet, falls due; null when none
-- does. Called by claim_gated when it has found every group that may start something full. Takes no locks. Errors:
-- none.
create or replace function postmill._next_rank_in_s(queue text, at timestamptz) returns double precision
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    select extract(epoch from least(min(first.rank), '3000-01-01') - clock_timestamp())
    from postmill.groups as known
    cross join lateral (
        select gate.rank from postmill.gates as gate
        where gate.queue_name = known.queue_name and gate.group_key = known.group_key and gate.claim_id is null
          and gate.rank > at
        order by gate.rank limit 1
    ) as first
    where known.queue_name = queue;
$$;
