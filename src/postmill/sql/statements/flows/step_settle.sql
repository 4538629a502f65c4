-- Finish tasks of flows: their messages are gone, the steps end, and what needs them begins. Called by: the settling
-- of tasks that have succeeded. $1 to $5 as in the parts tokens and settled_claims, $6 queue, $7 runs, $8 steps, $9
-- items of maps or null, $10 outputs as JSON text. Returns the ids that it really finished. With the flag gated
-- their places in their groups are free with that. Tasks of this queue are inserted here and not by the function: the
-- plan of that is kept.
-- With the flag claiming, $11 of these tasks are claimed at once, if they are due and the queue is not paused: $12 the
-- lease, $13 bytes, after which none is taken (see claim), $14 the worker. There is a row in claims as for any claim,
-- and the answer has a claim's columns. With the flag given it tells in `given` what these tasks need to know: see
-- _settle_steps. Of a queue with last_read_at with the flag claiming_and_read too.
-- Lock order: queue rows by msg_id, then as _settle_steps; postmill.claims, gates. Errors: those of _settle_steps.
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
clock as materialized ( --? claiming
    select clock_timestamp() as now, case when exists ( --? claiming
               select from postmill.queues where queue_name = $6::text and paused_at is not null) --? claiming
           then 0 else $11::integer end as room --? claiming
), --? claiming
done as materialized (
    select batch.ids, (settled.tasks).due_at, (settled.tasks).messages, (settled.tasks).priorities, settled.given
      from (select array_agg(msg_id) as ids, array_agg(run_id) as runs, array_agg(step) as steps,
                   array_agg(item) as items, array_agg(output) as outputs
              from ended
            having count(*) > 0) as batch
     cross join lateral postmill._settle_steps(
           batch.runs, batch.steps, batch.items, batch.outputs, $6::text
           , (select room from clock) --? given
           ) as settled
),
sent as (
    insert into {queue} (vt, message
                         , headers --? headers
                         , read_ct --? claiming
                         , last_read_at --? claiming_and_read
                        )
    select task.due_at, task.message --? !claiming
    select case when task.begins then (select now from clock) + $12::interval else task.due_at end, --? claiming
           task.message --? claiming
           , case when task.priority is not null --? headers
                  then jsonb_build_object('postmill-priority', task.priority) end --? headers
           , task.begins::integer --? claiming
           , case when task.begins then (select now from clock) end --? claiming_and_read
      from done
     cross join lateral (
           select *
                  , task.priority is null and task.due_at <= clock_timestamp() --? claiming
                  and task.place <= (select room from clock) --? claiming
                  and sum(pg_column_size(task.message)) over (rows unbounded preceding) --? claiming
                      - pg_column_size(task.message) < $13::integer as begins --? claiming
             from unnest(done.due_at, done.messages, done.priorities) with ordinality
                  as task (due_at, message, priority, place) offset 0) as task
    returning msg_id, read_ct, vt, enqueued_at, message --? claiming
)
, --? claiming
claim as ( --? claiming
    insert into postmill.claims (worker_id, queue_name, msg_ids, read_cts) --? claiming
    select $14::uuid, $6::text, array_agg(msg_id), array_agg(read_ct) from sent where read_ct > 0 --? claiming
    having count(*) > 0 --? claiming
    returning claim_id --? claiming
) --? claiming
select coalesce((select ids from done), '{}') as settled, $6::text as queue
       , (select claim_id from claim) as claim_id, (select now from clock) as now, --? claiming
       (extract(epoch from max(vt)) * 1000000)::bigint as vt_us, array_agg(msg_id) as msg_ids, --? claiming
       array_agg(read_ct) as read_cts, --? claiming
       array_agg((date_part('epoch', enqueued_at) * 1000000)::bigint) as enqueued_us, --? claiming
       array_agg(message::text) as messages, null::text[] as headers, --? claiming
       null::integer[] as failures, null::integer[] as lost_leases, (select given from done) as given --? claiming
  from sent where read_ct > 0 --? claiming
