-- One message of the throw-away queue by its id: what a read costs at least. Called by postmill.bench. Takes no locks.
select * from {queue} where msg_id = $1::bigint
