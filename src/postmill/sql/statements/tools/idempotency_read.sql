-- What was asked for with the key $2 of the viewer $1, and the answer.
-- Called by postmill.db.tools.audit. Takes no locks. Errors: none.
select request, answer from postmill.idempotency_keys where viewer = $1::text and key = $2::text
