-- Adds $1 delayed messages, and a tenth as many that have failed once and wait for another attempt; all fall due in
-- one to two hours, after the benchmark. Called by postmill.bench. Locks nothing that exists.
insert into {queue} (vt, read_ct, message)
select clock_timestamp() + (1 + random()) * interval '1 hour', (n > $1::integer)::integer, jsonb_build_object('n', n)
from generate_series(1, $1::integer + $1::integer / 10) as n
