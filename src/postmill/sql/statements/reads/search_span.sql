-- The lowest and the highest id of queue $1 that a search has to look at: of messages sent at $2 or later and before $3
-- (null: whenever), as far as ids tell. Where `lowest` is above `highest`, there are none.
-- Called by the search. Takes no locks. Errors: PM001 no such queue.
select case when $2::timestamptz is null then 1
            else postmill._first_id_since($1::text, $2::timestamptz, 1, id.last) end as lowest,
       case when $3::timestamptz is null then id.last
            else least(id.last, postmill._first_id_since($1::text, $3::timestamptz + interval '2 hours', 1, id.last))
       end as highest
from (
    select coalesce(pg_catalog.pg_sequence_last_value(
        pg_catalog.pg_get_serial_sequence(postmill._queue_table($1::text)::text, 'msg_id')::regclass), 0) as last
) as id
