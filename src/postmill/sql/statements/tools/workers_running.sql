-- The workers that have not stopped, on host $1 or (null) on any, with the version of Postmill that they run.
-- Called by the command line. Takes no locks. Errors: none.
select worker_id, hostname as host, version from postmill.workers
where stopped_at is null and deprecated_at is null and ($1::text is null or hostname = $1)
order by started_at
