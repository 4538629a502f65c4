-- The hosts behind $1 to which calls wait, at most $2 of them in the order of their names, and whether one of their
-- calls is due; never so of functions where $3 leaves them to others. Reads one row a host.
-- Called by: calls, while a host has no place. Takes no locks.
with recursive walk (host, due_at, seen) as (
    (select host, due_at, 1 from postmill.calls
      where started_at is null and host > $1::text order by host, due_at limit 1)
    union all
    select following.host, following.due_at, walk.seen + 1
      from walk
     cross join lateral (
           select host, due_at from postmill.calls
            where started_at is null and host > walk.host order by host, due_at limit 1) as following
     where walk.seen < $2::integer
)
select host, due_at <= statement_timestamp() and ($3::boolean or host not like 'function:%') as is_due from walk
