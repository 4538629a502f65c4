-- The queues in which error $1 was seen and that are still there, by name: of all its failures that are kept. A million
-- of them take a second.
-- Called by the command line and the API before all that failed so is tried again. Takes no locks. Errors: none.
select seen.queue_name
  from (select distinct queue_name from postmill.failures where fingerprint = $1::text) as seen
  join pgmq.meta using (queue_name)
 order by seen.queue_name
