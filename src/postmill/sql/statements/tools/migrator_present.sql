-- Whether the migrator's own tables are here. One row.
-- Called by postmill.db.tools.migrate before any other reading. Takes no locks. Errors: none.
select exists (
    select from pg_catalog.pg_class as class
    join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
    where namespace.nspname = 'postmill' and class.relname = 'migrations'
) as installed
