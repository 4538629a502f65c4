-- Drops a role; {role} is one of our own names. Called by postmill.db.tools.roles after roles_revoke. Errors:
-- insufficient_privilege; dependent_objects_still_exist where the role owns something, or has rights somewhere else.
drop role {role};
