-- Give back what gone workers held. Called by: engine heartbeat. $1 at most so many receipts. No messages: a worker that may be gone.
select queue_name, worker_id, msg_ids from postmill.rescue($1::integer)
