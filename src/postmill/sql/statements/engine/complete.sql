-- Finish messages: out of the queue, with the flag archive into its archive, with the flag results also into
-- postmill.results.
-- Called by: engine settler, and the transaction of a handler. $1 to $3 as in the part tokens, $4 claims whose last
-- messages these are, $5 queue, [$6 results as JSON text or null]. With the flag transaction only inside the
-- transaction that db handler_session has begun: elsewhere nothing is finished; and the message is locked together with
-- those that messages sent in this transaction wait for. With the flag gated their places in their groups are free with
-- that. Returns the ids that it really
-- finished.
-- Clients that wait for a result are told; without results they poll.
-- Lock order: queue rows by msg_id, what _ended locks, postmill.claims, gates. Errors: none of its own.
with
--+ tokens
gone as (
    delete from {queue} as q
--+ still_held
       and current_setting('postmill.transaction', true) = 'open' --? transaction
       and (select postmill._lock_with_sources($5::text, $1::text::bigint[])) --? transaction
    returning q.msg_id
    , q.read_ct, q.enqueued_at, q.vt, q.message --? archive
    , q.last_read_at --? archive_last_read_at
    , q.headers --? headers
),
archived as ( --? archive
    insert into {archive} --? archive
           (msg_id, read_ct, enqueued_at, vt, message --? archive
           , last_read_at --? archive_last_read_at
           , headers --? archive_headers
           ) --? archive
    select msg_id, read_ct, enqueued_at, vt, message --? archive
           , last_read_at --? archive_last_read_at
           , headers --? archive_headers
      from gone --? archive
), --? archive
kept as ( --? results
    insert into postmill.results (queue_name, msg_id, result) --? results
    select $5::text, gone.msg_id, result.value::jsonb --? results
      from gone join unnest($1::text::bigint[], $6::text[]) as result (msg_id, value) using (msg_id) --? results
     where result.value is not null --? results
    on conflict (queue_name, msg_id) --? results
        do update set result = excluded.result, completed_at = excluded.completed_at --? results
), --? results
freed as ( --? gated
    delete from postmill.gates as gate --? gated
     where gate.queue_name = lower($5::text) and gate.msg_id = any (array(select msg_id from gone)) --? gated
       and gate.msg_id between (select min(msg_id) from gone) and (select max(msg_id) from gone) --? gated
), --? gated
--+ what_follows
closed as (
    delete from postmill.claims where claim_id = any ($4::bigint[])
)
select coalesce(array_agg(msg_id), '{}') as settled
       , (select postmill._ended($5::text, ids, headers, 'completed') from followed where ids is not null) --? headers
       , $5::text as queue --? !headers
       , case when exists (select from postmill.waiters where queue_name = $5::text) then --? results
           postmill._tell_waiters($5::text, array_agg(msg_id)) end as told --? results
  from gone
