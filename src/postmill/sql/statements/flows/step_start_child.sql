-- Start the runs that steps of flows stand for: the tasks' messages are gone, and each child's end sends the next one.
-- Called by: the settling of tasks of steps of the kind run. $1 to $5 as in the parts tokens and settled_claims, $6
-- runs, $7 steps, $8 flows, $9 inputs as JSON text. Returns the ids that it really took out of the queue.
-- Lock order: queue rows by msg_id, then as _start_children; postmill.claims. Errors: those of _start_children.
with
--+ tokens
gone as (
    delete from {queue} as q
--+ still_held
    returning q.msg_id
),
ended as (
    select *
      from gone
      join unnest($1::text::bigint[], $6::bigint[], $7::text[], $8::text[], $9::text[])
        as t (msg_id, run_id, step, flow, input) using (msg_id)
),
--+ settled_claims
done as materialized (
    select array_agg(msg_id) as ids,
           postmill._start_children(array_agg(run_id), array_agg(step), array_agg(flow), array_agg(input)) as started
      from ended
    having count(*) > 0
)
select coalesce((select ids from done), '{}') as settled
