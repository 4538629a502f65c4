-- What is installed: one row a migration (number set) and one a component. Called by postmill.db.tools.migrate when
-- its tables are here. Takes no locks. Errors: insufficient_privilege for a role without rights on schema postmill.
select number, name, sha256 from postmill.migrations
union all
select null, name, sha256 from postmill.components
