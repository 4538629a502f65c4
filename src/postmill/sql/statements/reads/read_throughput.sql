-- What workers have done lately in the queues $1, in their order. Called by the reads. Takes no locks. Errors: none.
select queue_name as queue, completed_per_minute, failed_percent, completed, failed, dead, last_hour
from postmill.throughput($1::text[])
