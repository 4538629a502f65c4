-- Steps of flows are undone: the messages of that are gone, and the step before is next.
-- Called by: the settling of tasks that undo steps. $1 to $5 as in the parts tokens and settled_claims, $6 queue,
-- $7 runs, $8 steps. Returns the ids that it really finished. With the flag gated their places in their groups are free
-- with that.
-- Lock order: queue rows by msg_id, then as _end_undo; postmill.claims, gates. Errors: those of _end_undo.
with
--+ taken_out
ended as (
    select *
      from gone
      join unnest($1::text::bigint[], $7::bigint[], $8::text[]) as t (msg_id, run_id, step) using (msg_id)
),
--+ settled_claims
--+ freed_places
done as materialized (
    select array_agg(msg_id) as ids,
           postmill._end_undo(array_agg(run_id), array_agg(step), array_agg(null::text)) as ended
      from ended
    having count(*) > 0
)
select coalesce((select ids from done), '{}') as settled, $6::text as queue
