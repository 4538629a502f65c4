-- Sends $2 messages, with payloads of $3 bytes, to the throw-away queue $1: to $4 groups by turns, beginning with the
-- group number $5. Called by postmill.bench. Locks: as postmill.send_batch.
select count(*)
from postmill.send_batch(
    queue => $1::text,
    messages => array(
        select jsonb_build_object('n', n, 'pad', repeat('x', greatest(0, $3::integer - 15 - length(n::text))))
        from generate_series(1, $2::integer) as n),
    group_keys => array(select 'group ' || ($5::bigint + n) % $4::integer from generate_series(1, $2::integer) as n))
