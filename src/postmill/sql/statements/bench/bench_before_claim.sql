-- The fast lane's claim as it was before messages had groups, priorities and dependencies. PINNED: `postmill bench
-- plain` measures the worker's own claim against it.
-- $1 ids above this one, $2 messages at most, $3 the lease, $4 the worker, $5 the queue, $6 bytes, $7 the history that
-- the claim belongs to. Called by postmill.bench. Lock order: queue rows (skipping locked ones), then postmill.claims.
with clock as materialized (
    select clock_timestamp() as now, $7::text =
--+ cursor_history
           as known,
           not exists (select from postmill.queues where queue_name = $5::text and paused_at is not null) as open
),
candidate as materialized (
    select at, msg_id
           , sum(stored) over (rows unbounded preceding) - stored as bytes_before
      from (select ctid as at, msg_id
                   , coalesce(pg_column_size(message), 0) as stored
              from {queue}
             where msg_id > $1::bigint
               and vt <= (select now from clock)
               and (select open and known from clock)
             order by msg_id
             limit $2::integer
               for update skip locked) as lane
),
claimed as (
    update {queue} as q
       set vt = (select now from clock) + $3::interval,
           last_read_at = (select now from clock), --? last_read_at
           read_ct = least(q.read_ct, 2147483646) + 1
     where q.ctid = any (array(select at from candidate where bytes_before < $6::bigint)) --? !partitioned
     where q.msg_id = any (array(select msg_id from candidate where bytes_before < $6::bigint)) --? partitioned
    returning q.msg_id, q.read_ct, q.vt, q.enqueued_at, q.message,
              case when q.enqueued_at <= (select now from clock) then q.enqueued_at else '-infinity' end as since
              , q.headers --? headers
              , null::jsonb as headers --? !headers
),
claim as (
    insert into postmill.claims (worker_id, queue_name, msg_ids, read_cts)
    select $4::uuid, $5::text, array_agg(msg_id), array_agg(read_ct)
      from claimed
    having count(*) > 0
    returning claim_id
)
select (select claim_id from claim) as claim_id,
       (select now from clock) as now,
       (select known from clock) as known,
       (select open and known from clock)
       and count(*) = (select count(*) from candidate) and count(*) < $2::integer as complete,
       (extract(epoch from max(vt)) * 1000000)::bigint as vt_us,
       array_agg(msg_id) as msg_ids,
       array_agg(read_ct) as read_cts,
       array_agg((date_part('epoch', least(greatest(enqueued_at, '0001-01-02'), '9999-12-30')) * 1000000)::bigint)
       as enqueued_us,
       array_agg(coalesce(message::text, 'null')) as messages,
       case when count(headers) > 0 then array_agg(headers::text) end as headers,
       case when max(read_ct) > 1 then array_agg(
           case when read_ct > 1 then
               (select count(*)::integer
                  from postmill.failures as f
                 where f.queue_name = $5::text and f.msg_id = claimed.msg_id
                   and f.kind <> 'lost_lease' and f.failed_at >= claimed.since)
           else 0 end)
       end as failures,
       case when max(read_ct) > 1 then array_agg(
           case when read_ct > 1 then
               (select count(*)::integer
                  from postmill.failures as f
                 where f.queue_name = $5::text and f.msg_id = claimed.msg_id
                   and f.kind in ('lost_lease', 'crash') and coalesce(f.started_at, f.failed_at) >= claimed.since)
           else 0 end)
       end as lost_leases
  from claimed
