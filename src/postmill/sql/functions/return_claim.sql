-- End the leases of one claim whose worker is gone, and record one failed attempt (crash, or lost_lease) for each of
-- its messages that is still queued. A message whose lease had ended before may be with another worker already: its
-- lease is not touched, but the delivery that ended without an outcome is recorded all the same, so that a message
-- that always takes its worker down comes to an end. A message younger than the claim is another one: ids start again
-- in a queue that was dropped and created again. A message that is said to come from the future (any client may write
-- so) says nothing of its age: it is taken for the claim's own.
-- A message that had a place in its group waits for one again; the place is free. One that ran without (see
-- _counts_places) is due, and is parked by the worker that sees it.
-- Called by: postmill.rescue, and by a worker for claims of its own (statement give_back). Returns the ids it gave
-- back; null when another session has locked the table or one of the rows, a settlement for example: then nothing is
-- done. Nor is it when the queue refuses (a right is missing, a trigger raises): that is a warning, since the claims
-- of other queues must not wait. A dropped queue gives back nothing.
-- Lock order: the queue's table and its rows by msg_id, never waiting for one (the caller may hold the claim, which
-- settlements lock after their rows; and a table that is being rewritten would keep the claims of every other queue),
-- gates, failures, and one notification.
-- Errors: none of its own.
create or replace function postmill.return_claim(
    queue_name text, worker_id uuid, msg_ids bigint[], read_cts integer[], claimed_at timestamptz,
    kind text default 'crash', reason text default 'the worker ended while it held this message')
returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    given_back bigint[];
begin
    if to_regclass(format('pgmq.%I', 'q_' || lower(queue_name))) is null then
        return '{}';
    end if;
    execute format('lock table pgmq.%I in row exclusive mode nowait', 'q_' || lower(queue_name));
    execute format(
        'with gated as materialized (
             select gate.msg_id from postmill.gates as gate
              where gate.queue_name = lower($3) and gate.msg_id = any ($1)),
         held as (
             select q.msg_id
               from (select * from unnest($1, $2) as t (msg_id, read_ct) order by msg_id) as t
              cross join lateral (
                    select q.msg_id from pgmq.%1$I as q
                     where q.msg_id = t.msg_id and q.read_ct = t.read_ct
                       and (q.enqueued_at <= $5 or q.enqueued_at > clock_timestamp())
                       for update nowait
                    ) as q),
         back as (
             update pgmq.%1$I as q
                set vt = case when q.msg_id = any (array(select msg_id from gated)) then postmill._parked_until()
                              else clock_timestamp() end
              where q.msg_id = any (array(select msg_id from held))
             returning q.msg_id, q.enqueued_at),
         freed as (
             update postmill.gates as gate set claim_id = null, rank = clock_timestamp()
              where gate.queue_name = lower($3) and gate.msg_id = any (array(select msg_id from back))),
         ended as (
             select back.msg_id, back.enqueued_at from back
             union all
             select q.msg_id, q.enqueued_at
               from unnest($1, $2) as t (msg_id, read_ct)
              cross join lateral (
                    select q.msg_id, q.enqueued_at from pgmq.%1$I as q
                     where q.msg_id = t.msg_id and q.read_ct > t.read_ct
                       and (q.enqueued_at <= $5 or q.enqueued_at > clock_timestamp())
                    offset 0  -- id by id: joined as a whole, it may cost a walk through the queue
                    ) as q),
         recorded as (
             insert into postmill.failures (queue_name, msg_id, attempt, worker_id, kind, error_message, started_at)
             select $3, ended.msg_id,
                    1 + (select count(*) from postmill.failures as f
                          where f.queue_name = $3 and f.msg_id = ended.msg_id and f.kind <> ''lost_lease''
                            and f.failed_at >= case when ended.enqueued_at <= clock_timestamp() then ended.enqueued_at
                                                    else ''-infinity'' end),
                    $4, $6, $7, $5
               from ended)
         select coalesce(array_agg(msg_id), ''{}'') from back',
        'q_' || lower(queue_name))
    into given_back
    using msg_ids, read_cts, queue_name, worker_id, claimed_at, kind, reason;
    perform pg_notify(('postmill.' || queue_name)::name::text, '');
    return given_back;
exception
    when lock_not_available then
        return null;
    when others then
        raise warning 'messages of queue % can''t be given back: %', queue_name, sqlerrm using errcode = sqlstate;
        return null;
end;
$$;
