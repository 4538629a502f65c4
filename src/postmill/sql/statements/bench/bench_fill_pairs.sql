-- Fills the throw-away queue $1 with $2 pairs of messages, each of $3 bytes: the second of a pair waits for the first.
-- 1,000 pairs in one call, so that a batch is no larger than an application's. Called by postmill.bench. Locks: as
-- postmill.send_batch.
select count(*)
from generate_series(0, ($2::integer - 1) / 1000) as part
cross join lateral (
    select postmill.send_batch(
        $1::text,
        array_agg(jsonb_build_object('n', n, 'pad', repeat('x', greatest(0, $3::integer - 15 - length(n::text))))
                  order by n, waits),
        after => array_agg(case when waits then jsonb_build_array('#' || (n - 1000 * part) * 2 - 1) end
                           order by n, waits))
    from generate_series(part * 1000 + 1, least((part + 1) * 1000, $2::integer)) as n
    cross join (values (false), (true)) as half (waits)
) as sent
