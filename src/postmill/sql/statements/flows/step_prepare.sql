-- See _prepare_settling. Called by: the settler of a worker of flows, at its start. $1 queue.
-- Takes no locks. Errors: those of _prepare_settling.
select postmill._prepare_settling($1::text)
