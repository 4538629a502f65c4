-- Hold tasks of flows that can't run now: their run is paused, or this worker lacks the step. It is no attempt.
-- Called by: the settling of such tasks. $1 to $5 as in the parts tokens and settled_claims, $6 queue, $7 runs, $8
-- steps, $9 items of maps or null, $10 why each is held: paused or version. Returns the ids that it really took out of
-- the queue. With the flag gated their places in their groups are free with that.
-- Lock order: queue rows by msg_id, then as _hold_tasks; postmill.claims, gates. Errors: those of _hold_tasks.
with
--+ tokens
gone as (
    delete from {queue} as q
--+ still_held
    returning q.msg_id, q.message
),
ended as (
    select *
      from gone
      join unnest($1::text::bigint[], $7::bigint[], $8::text[], $9::integer[], $10::text[])
        as t (msg_id, run_id, step, item, why) using (msg_id)
),
--+ settled_claims
--+ freed_places
done as materialized (
    select array_agg(msg_id) as ids,
           postmill._hold_tasks(array_agg(run_id), array_agg(step), array_agg(item), array_agg(message),
                                array_agg(why), array_agg(msg_id), $6::text) as held
      from ended
    having count(*) > 0
)
select coalesce((select ids from done), '{}') as settled, $6::text as queue
