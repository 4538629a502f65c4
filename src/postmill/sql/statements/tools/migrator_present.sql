-- Whether the migrator's own tables are here, and which roles the server has that could be ours. One row.
-- Called by postmill.db.tools.migrate before any other reading. Takes no locks. Errors: none.
select
    exists (
        select from pg_catalog.pg_class as class
        join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
        where namespace.nspname = 'postmill' and class.relname = 'migrations'
    ) as installed,
    (select coalesce(array_agg(role.rolname::text), '{}') from pg_catalog.pg_roles as role
     where starts_with(role.rolname, 'postmill_')) as roles
