-- Takes the key $2 of the viewer $1 for the request $3; no row when it is taken.
-- Called by postmill.db.tools.audit. Locks: the key's row; waits for another transaction that takes it. Errors: none.
insert into postmill.idempotency_keys (viewer, key, request)
values ($1::text, $2::text, $3::text)
on conflict (viewer, key) do nothing
returning key
