-- Names of queues, for the shell to offer.
-- Called by the command line. Takes no locks. Errors: none.
select queue_name from pgmq.meta order by queue_name limit 200
