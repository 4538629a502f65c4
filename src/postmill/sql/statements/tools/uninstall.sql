-- Removes all that is ours; the wake-up triggers on queues go with the function they call. Called by
-- postmill.db.tools.migrate under its lock. Locks every queue's table that has a trigger of ours for a moment. Errors:
-- insufficient_privilege.
drop schema postmill cascade;
drop schema if exists postmill_commands cascade;
