-- New functions are executable by everybody unless that is taken away. Called by postmill.db.tools.migrate after it has
-- created functions; what was granted to a role by name stays.
revoke execute on all functions in schema postmill from public;
