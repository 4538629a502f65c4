-- Seconds from the tick of the schedules of queue $1 to the last firing, and how many messages they have sent. Called
-- by: bench schedules. Takes no locks.
select extract(epoch from max(run.fired_at) - min(run.tick))::float8 as took_s, (select count(*) from {queue}) as sent
  from postmill.schedule_runs as run
 where run.queue_name = $1::text
