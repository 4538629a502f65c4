-- Ids of messages of queue $1, from $2 to $3, that the claims of a worker hold whose id begins with $4 (null: any
-- worker).
-- Called by the search. Takes no locks. Errors: none.
select coalesce(array_agg(distinct held.msg_id), '{}') as ids
from postmill._claimed($1::text) as held
where held.msg_id >= $2::bigint and held.msg_id <= $3::bigint
  and ($4::text is null or starts_with(held.worker_id::text, lower($4::text)))
