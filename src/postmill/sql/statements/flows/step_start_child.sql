-- Start the runs that steps of flows stand for: the tasks' messages are gone, and each child's end sends the next one.
-- Called by: the settling of tasks of steps of the kind run. $1 to $5 as in the parts tokens and settled_claims, $6
-- queue, $7 runs, $8 steps, $9 flows, $10 inputs as JSON text. Returns the ids that it really took out of the queue.
-- With the flag gated their places in their groups are free with that.
-- Lock order: queue rows by msg_id, then as _start_children; postmill.claims, gates. Errors: those of _start_children.
with
--+ taken_out
ended as (
    select *
      from gone
      join unnest($1::text::bigint[], $7::bigint[], $8::text[], $9::text[], $10::text[])
        as t (msg_id, run_id, step, flow, input) using (msg_id)
),
--+ settled_claims
--+ freed_places
done as materialized (
    select array_agg(msg_id) as ids,
           postmill._start_children(array_agg(run_id), array_agg(step), array_agg(flow), array_agg(input)) as started
      from ended
    having count(*) > 0
)
select coalesce((select ids from done), '{}') as settled, $6::text as queue
