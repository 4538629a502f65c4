-- Every role may execute a new function unless that right is taken away. Called by postmill.db.tools.migrate after it
-- has created functions; what was granted to a role by name stays.
revoke execute on all functions in schema postmill from public;
