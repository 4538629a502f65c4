-- Finish tasks of flows: their messages are gone, the steps end, and what needs them begins. Called by: the settling
-- of tasks that have succeeded. $1 to $5 as in the parts tokens and settled_claims, $6 queue, $7 runs, $8 steps, $9
-- items of maps or null, $10 outputs as JSON text. Returns the ids that it really finished. With the flag gated
-- their places in their groups are free with that. Tasks of this queue are inserted here and not by the function: the
-- plan of that is kept. Lock order: queue rows by msg_id, then as _settle_steps; postmill.claims, gates. Errors: those
-- of _settle_steps.
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
    select batch.ids, (settled.tasks).due_at, (settled.tasks).messages, (settled.tasks).priorities
      from (select array_agg(msg_id) as ids, array_agg(run_id) as runs, array_agg(step) as steps,
                   array_agg(item) as items, array_agg(output) as outputs
              from ended
            having count(*) > 0) as batch
     cross join lateral postmill._settle_steps(batch.runs, batch.steps, batch.items, batch.outputs, $6::text)
        as settled
),
sent as (
    insert into {queue} (vt, message
                         , headers --? headers
                        )
    select task.due_at, task.message
           , case when task.priority is not null --? headers
                  then jsonb_build_object('postmill-priority', task.priority) end --? headers
      from done
     cross join lateral unnest(done.due_at, done.messages, done.priorities) as task (due_at, message, priority)
)
select coalesce((select ids from done), '{}') as settled, $6::text as queue
