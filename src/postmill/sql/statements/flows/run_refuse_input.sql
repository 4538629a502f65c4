-- Fail runs of graph flows whose input does not fit: the messages under which that was found are gone with that.
-- Called by: the settling of tasks that find it. $1 to $5 as in the parts tokens and settled_claims, $6 queue, $7 runs,
-- $8 reasons. Returns the ids of the messages that it really deleted. With the flag gated their places in their groups
-- are free with that.
-- Lock order: queue rows by msg_id, then as _refuse_inputs; postmill.claims, gates. Errors: those of _refuse_inputs.
with
--+ taken_out
ended as (
    select *
      from gone
      join unnest($1::text::bigint[], $7::bigint[], $8::text[]) as t (msg_id, run_id, reason) using (msg_id)
),
--+ settled_claims
--+ freed_places
done as materialized (
    select array_agg(msg_id) as ids, postmill._refuse_inputs(array_agg(run_id), array_agg(reason))::text as refused
      from ended
    having count(*) > 0
)
select coalesce((select ids from done), '{}') as settled, $6::text as queue
