-- Names of queues, those in which most goes on first, by figures that cost next to nothing: open claims, then the rows
-- that the server's statistics know of, which may be seconds late, then those at the last vacuum. With $3, queues that
-- have messages and no open claim come before all others. At most $2, after the first $1; `known` is how many there
-- are. No queue is looked into: of 10,000 a page is found in about 60 ms. Called by the reads. Takes no locks on
-- queues, so it needs no room for them in the server's lock table. Errors: none.
select meta.queue_name as queue, coalesce(open.claims, 0) as claims, size.messages, count(*) over () as known
from pgmq.meta as meta
join pg_catalog.pg_class as made
    on made.relname = lower('q_' || meta.queue_name)::name and made.relnamespace = 'pgmq'::regnamespace
    and made.relkind in ('r', 'p')
left join (
    select claim.queue_name, count(*) as claims from postmill.claims as claim group by claim.queue_name
) as open on open.queue_name = meta.queue_name
cross join lateral (
    select case
        when made.relkind = 'r' then pg_catalog.pg_stat_get_live_tuples(made.oid)
        else (select sum(pg_catalog.pg_stat_get_live_tuples(part.inhrelid))::bigint
              from pg_catalog.pg_inherits as part where part.inhparent = made.oid) end as messages
    offset 0
) as size
order by
    $3::boolean and open.claims is null and coalesce(size.messages, 0) > 0 desc,
    coalesce(open.claims, 0) desc, size.messages desc nulls last,
    made.reltuples desc, meta.queue_name
limit $2::integer offset $1::integer
