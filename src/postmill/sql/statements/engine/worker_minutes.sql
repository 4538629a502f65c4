-- Add what a worker's messages have come to to the sums of this minute. Called by: engine minute writer, at most every
-- two seconds, and only when there is something to add. $1 worker, $2 the number of these sums: those that were written
-- before, and whose answer was lost, are not added again. $3 queue, $4 slot, $5 started, $6 completed, $7 failed,
-- $8 dead, $9 and $10 milliseconds run and waited.
-- Returns whether they are written, now or before. They are not while another session has the worker's row locked, or
-- the worker is not on record: send them again later.
-- Lock order: the worker's row, never waiting for it; the row of the minute. Errors: none of its own.
with mine as materialized (
    select worker_id, sums_written from postmill.workers where worker_id = $1::uuid for update skip locked
),
noted as (
    update postmill.workers set sums_written = $2::integer
     where worker_id = any (array(select worker_id from mine where sums_written < $2::integer))
    returning worker_id
),
added as (
    insert into postmill.minutes as sums
           (minute, queue_name, slot, started, completed, failed, dead, ran_ms, waited_ms)
    select date_trunc('minute', postmill.now(), 'UTC'), $3::text, $4::smallint, $5::bigint, $6::bigint, $7::bigint,
           $8::bigint, $9::bigint, $10::bigint
      from noted
    on conflict (queue_name, minute, slot) do update
       set started = sums.started + excluded.started, completed = sums.completed + excluded.completed,
           failed = sums.failed + excluded.failed, dead = sums.dead + excluded.dead,
           ran_ms = sums.ran_ms + excluded.ran_ms, waited_ms = sums.waited_ms + excluded.waited_ms
)
select exists (select from mine) as written
