-- Give back what gone workers held. Called by: engine heartbeat. $1 at most so many receipts.
select queue_name, worker_id, msg_ids from postmill.rescue($1::integer)
