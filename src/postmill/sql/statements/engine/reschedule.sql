-- Put messages back for later: after a failed attempt (with its record), a snooze, or because the worker gives them up.
-- Called by: engine settler. $1 to $5 as in the parts tokens and settled_claims, $6 queue, $7 worker, $8 seconds until
-- due again; and for failed attempts, null otherwise: $9 attempt, $10 kind, $11 error type, $12 error message, $13
-- traceback,
-- $14 seconds that it ran.
-- A record that a trigger keeps out in silence is an error (22P02): an attempt without a record is not counted, and a
-- message whose attempts are not counted is tried for ever. read_ct is never lowered: two workers could hold the same
-- token. A message's delay is found by the place of its id among the ascending ids: a join of rows that are written is
-- planned from statistics (see the part still_held). Returns the ids that it really rescheduled.
-- With the flag gated the messages had places in their groups: they are parked again, wait there until they are due,
-- and hold no place meanwhile.
-- Lock order: queue rows by msg_id, postmill.claims, groups (new rows), gates, postmill.failures.
with
--+ tokens
back as (
    update {queue} as q
       set vt = clock_timestamp() --? !gated
             + ($8::double precision[])[width_bucket(q.msg_id, (select $1::text::bigint[]))] --? !gated
             * interval '1 second' --? !gated
       set vt = postmill._parked_until() --? gated
--+ still_held
    returning q.msg_id
    , coalesce(postmill._group_of(to_jsonb(q.headers)), '') as group_key --? gated
),
grouped as ( --? gated
    insert into postmill.groups (queue_name, group_key) --? gated
    select distinct lower($6::text), group_key from back order by group_key --? gated
        on conflict do nothing --? gated
), --? gated
gate as ( --? gated
    insert into postmill.gates (queue_name, group_key, rank, msg_id) --? gated
    select lower($6::text), group_key, --? gated
           clock_timestamp() --? gated
           + ($8::double precision[])[width_bucket(msg_id, (select $1::text::bigint[]))] --? gated
           * interval '1 second', --? gated
           msg_id --? gated
      from back order by msg_id --? gated
        on conflict (queue_name, msg_id) --? gated
        do update set group_key = excluded.group_key, rank = excluded.rank, claim_id = null --? gated
), --? gated
ended as (
    select *
      from back
      join unnest($1::text::bigint[], $9::integer[], $10::text[], $11::text[], $12::text[], $13::text[],
                  $14::double precision[])
        as t (msg_id, attempt, kind, error_type, error_message, traceback, ran_s) using (msg_id)
),
--+ settled_claims
--+ recorded_attempts
select coalesce(array_agg(msg_id), '{}') as settled,
       case when (select count(*) from recorded) < count(kind) then
           format('%s, written to postmill.failures: a trigger keeps them out', count(kind))::integer
       end as kept_out
  from ended
