-- Ids of messages of queue $1, from $2 to $3, of which a failure, or the letter that they died with, has the text $4 in
-- its type or message in any case of letters, among the $5 of these with the highest ids; and the lowest id among all
-- that were looked at, null when there are no more.
-- Called by the search. Takes no locks. Errors: none.
select coalesce(array_agg(distinct msg_id) filter (
           where strpos(lower(concat_ws(': ', error_type, said)), lower($4::text)) > 0), '{}') as ids,
       case when count(*) = $5::integer then min(msg_id) end as reached
from (
    (select failure.msg_id, failure.error_type, failure.error_message as said
     from postmill.failures as failure
     where failure.queue_name = $1::text and failure.msg_id >= $2::bigint and failure.msg_id <= $3::bigint
     order by failure.msg_id desc
     limit $5::integer)
    union all
    (select letter.msg_id, letter.error_type, letter.reason
     from postmill.dead_letters as letter
     where letter.queue_name = $1::text and letter.msg_id >= $2::bigint and letter.msg_id <= $3::bigint
       and letter.replayed_at is null
     order by letter.msg_id desc
     limit $5::integer)
    order by msg_id desc
    limit $5::integer
) as looked_at
