-- Ids of messages of queue $1, from $2 to $3, with a failure whose type or message has the text $4 in any case of
-- letters, among the $5 failures with the highest ids of messages; and the lowest id among all of these, null when
-- there are no more.
-- Called by the search. Takes no locks. Errors: none.
select coalesce(array_agg(distinct msg_id) filter (
           where strpos(lower(concat_ws(': ', error_type, error_message)), lower($4::text)) > 0), '{}') as ids,
       case when count(*) = $5::integer then min(msg_id) end as reached
from (
    select failure.msg_id, failure.error_type, failure.error_message
    from postmill.failures as failure
    where failure.queue_name = $1::text and failure.msg_id >= $2::bigint and failure.msg_id <= $3::bigint
    order by failure.msg_id desc
    limit $5::integer
) as looked_at
