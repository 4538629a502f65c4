-- Finish tasks of flows: their messages are gone, the steps end, and what needs them begins.
-- Called by: the settling of tasks that have succeeded. $1 to $5 as in the parts tokens and settled_claims, $6 runs, $7
-- steps, $8 items of maps or null, $9 outputs as JSON text. Returns the ids that it really finished.
-- Lock order: queue rows by msg_id, then as _settle_steps; postmill.claims. Errors: those of _settle_steps.
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
      join unnest($1::text::bigint[], $6::bigint[], $7::text[], $8::integer[], $9::text[])
        as t (msg_id, run_id, step, item, output) using (msg_id)
),
--+ settled_claims
done as materialized (
    select array_agg(msg_id) as ids,
           postmill._settle_steps(array_agg(run_id), array_agg(step), array_agg(item), array_agg(output)) as ended
      from ended
    having count(*) > 0
)
select coalesce((select ids from done), '{}') as settled
