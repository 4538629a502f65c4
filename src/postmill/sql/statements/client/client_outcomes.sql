-- How the messages $2 of the queues $1 have ended: for each the JSON text of an array of queue, id, fate, the result as
-- JSON text, and the letter; see the function _outcomes.
-- Called by the client, while it waits for results. Takes no locks. Errors: none.
select jsonb_build_array(asked.queue, found.msg_id, found.fate, found.result::text, found.letter)::text
  from (select queue, array_agg(msg_id) as ids
          from unnest($1::text[], $2::bigint[]) as one (queue, msg_id)
         group by queue) as asked
 cross join lateral postmill._outcomes(asked.queue, asked.ids) as found
