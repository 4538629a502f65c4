-- $2 schedules of queue $1, each due in $3 seconds and once a year. Called by: bench schedules. Locks nothing that
-- exists.
with due as (
    select date_trunc('second', clock_timestamp() + $3::float8 * interval '1 second') as at
)
insert into postmill.schedules (name, recurrence, timezone, target, overlap, catch_up, jitter, next_at)
select $1::text || '.' || number, '0 0 1 1 *', 'UTC', jsonb_build_object('queue', $1::text, 'message', number),
       'skip', 'one', '0', (select at from due)
  from generate_series(1, $2::integer) as number
