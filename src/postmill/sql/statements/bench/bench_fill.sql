-- Fills the throw-away queue with $1 messages whose payload is JSON text of $2 bytes (as sent; at least 22).
-- Called by postmill.bench. Locks nothing that exists.
insert into {queue} (vt, message)
select (select clock_timestamp()),
       jsonb_build_object('n', n, 'pad', repeat('x', greatest(0, $2::integer - 15 - length(n::text))))
from generate_series(1, $1::integer) as n
