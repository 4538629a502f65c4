-- Names of queues that come behind $1, in order, at most $2.
-- Called by the reads. Takes no locks. Errors: none.
select meta.queue_name as queue
  from pgmq.meta as meta
 where ($1::text is null or meta.queue_name > $1::text)
   and to_regclass(format('pgmq.%I', lower('q_' || meta.queue_name))) is not null
 order by meta.queue_name
 limit $2::integer
