-- Whether there is a row of ours that the role may lock. Called by db server_needs. Takes no locks. Errors: none.
select exists (
    select from pg_catalog.pg_class as class
    join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
    where namespace.nspname = 'postmill' and class.relname = 'migrations'
      and has_schema_privilege(namespace.oid, 'usage') and has_table_privilege(class.oid, 'update')
) as is_there
