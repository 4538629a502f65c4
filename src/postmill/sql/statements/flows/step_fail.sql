-- Tasks of flows are dead: their messages are gone, with the record of the failed attempt that ended them, and the
-- steps end as they say. There are no dead letters: the step's row tells what happened. Called by: the settling of
-- tasks that won't be tried again. $1 to $5 as in the parts tokens and settled_claims, $6 queue, $7 worker, $8
-- reason, $9 to $14 as in the part recorded_attempts: attempt, kind (null: no record), error type, error message,
-- traceback, seconds that it ran; $15 runs, $16 steps, $17 items of maps or null. Returns the ids that it really
-- ended. With the flag gated their places in their groups are free with that. Lock order: queue rows by msg_id, then
-- as _fail_steps; postmill.claims, gates, failures. Errors: those of _fail_steps.
with
--+ taken_out
ended as (
    select *
      from gone
      join unnest($1::text::bigint[], $8::text[], $9::integer[], $10::text[], $11::text[], $12::text[], $13::text[],
                  $14::double precision[], $15::bigint[], $16::text[], $17::integer[])
        as t (msg_id, why, attempt, kind, error_type, error_message, traceback, ran_s, run_id, step, item)
        using (msg_id)
),
--+ settled_claims
--+ freed_places
--+ recorded_attempts
,
done as materialized (
    select array_agg(msg_id) as ids,
           postmill._fail_steps(array_agg(run_id), array_agg(step), array_agg(item), array_agg(why)) as ended
      from ended
    having count(*) > 0
)
select coalesce((select ids from done), '{}') as settled
