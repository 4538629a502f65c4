-- What is still in a queue. `active`: it runs, or nothing but a place in its group or a rate limit keeps it from
-- starting now. Called by postmill.testing. $1 the queue. Takes no locks. Errors: PM001 no such queue.
select total,
       ready + running
       + (select count(*) from postmill.gates as gate
           where gate.queue_name = $1::text and gate.claim_id is null and gate.rank <= clock_timestamp()) as active
  from postmill.queue_stats($1::text, exactly => true)
