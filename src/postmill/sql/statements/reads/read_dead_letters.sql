-- Dead letters of queue $1 (null: of every queue), the latest first, at most $2; with $3 also those replayed already.
-- With numbers below $4 when it is given.
-- Called by the command line. Takes no locks. Errors: none.
select
    letter_id, queue_name as queue, msg_id, attempts, kind, reason, error_type, died_at, replayed_at, replayed_as,
    postmill._shown(message) as message, postmill._shown(headers) as headers
from postmill.dead
where ($1::text is null or queue_name = $1::text) and ($3::boolean or replayed_at is null)
  and ($4::bigint is null or letter_id < $4::bigint)
order by letter_id desc
limit $2::integer
