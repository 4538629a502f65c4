-- The last $2 runs of the schedule $1, newest first. Called by the command line. Takes no locks. Errors: none.
select tick, status, queue_name as queue, msg_id, call_id, flow_run, fired_at, started_at, ended_at,
       coalesce(reason, returned) as reason
  from postmill.schedule_history
 where name = $1::text
 order by tick desc
 limit $2::integer
