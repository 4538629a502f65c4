-- Keeps the answer $3 to the request with the key $2 of the viewer $1.
-- Called by postmill.db.tools.audit. Locks: the key's row, which is this transaction's. Errors: none.
update postmill.idempotency_keys set answer = $3::text where viewer = $1::text and key = $2::text
