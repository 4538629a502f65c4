-- Removes a facade's schema. Called by postmill.db.tools.migrate for the facades it has recorded as its own; {schema}
-- is one of our own file names. Errors: insufficient_privilege.
drop schema if exists {schema} cascade;
