-- Ids of workers that run, for the shell to offer.
-- Called by the command line. Takes no locks. Errors: none.
select worker_id from postmill.active_workers order by started_at desc limit 200
