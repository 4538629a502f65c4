-- Finish tasks of flows: their messages are gone, the steps end, and what needs them begins. Called by: the settling
-- of tasks that have succeeded. $1 to $5 as in the parts tokens and settled_claims, $6 queue, $7 runs, $8 steps, $9
-- items of maps or null, $10 outputs as JSON text. Returns the ids that it really finished. With the flag gated
-- their places in their groups are free with that. Lock order: queue rows by msg_id, then as _settle_steps;
-- postmill.claims, gates. Errors: those of _settle_steps.
with
--+ taken_out
ended as (
    select *
      from gone
      join unnest($1::text::bigint[], $7::bigint[], $8::text[], $9::integer[], $10::text[])
        as t (msg_id, run_id, step, item, output) using (msg_id)
),
--+ settled_claims
--+ freed_places
done as materialized (
    select array_agg(msg_id) as ids,
           postmill._settle_steps(array_agg(run_id), array_agg(step), array_agg(item), array_agg(output)) as ended
      from ended
    having count(*) > 0
)
select coalesce((select ids from done), '{}') as settled, $6::text as queue
