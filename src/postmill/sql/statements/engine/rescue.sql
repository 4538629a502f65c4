-- Give back what gone workers held. Called by: engine rescuer. $1 claims at most, $2 when the caller's
-- connection came back after a cut ('-infinity': it was never cut). No messages: a worker that may be gone.
select queue_name, worker_id, msg_ids from postmill.rescue($1::integer, $2::text::timestamptz)
