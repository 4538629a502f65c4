-- Where a window of a search ends whose values have an index: the lowest id at or below $3 of queue $1, and not below
-- $2, above which at most $4 messages are in the queue and as many are cancelled: those are looked at one by one. What
-- is done and what is dead is found by the index.
-- Called by the search. Takes no locks. Errors: PM001 no such queue.
select greatest(
    $2::bigint,
    (select reached from postmill._nth_queued($1::text, $2::bigint, $3::bigint, $4::integer) as reached),
    (select gone.msg_id from postmill.cancellations as gone
     where gone.queue_name = $1::text and gone.msg_id >= $2::bigint and gone.msg_id <= $3::bigint
     order by gone.msg_id desc offset $4::integer - 1 limit 1)) as bottom
