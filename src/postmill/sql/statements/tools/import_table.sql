-- The table $1 as an import reads it: its name quoted for SQL text, its columns, and where it is (`database` says on
-- which server and in which database, whatever address leads there). No row without such a table.
-- Called by the importers, also in a database without Postmill. Takes no locks. Errors: insufficient_privilege;
-- invalid_name.
select format('%I.%I', namespace.nspname, class.relname) as name,
       format('%s/%s', (select system_identifier from pg_catalog.pg_control_system()),
              (select oid from pg_catalog.pg_database where datname = current_database())) as database,
       array(
           select attribute.attname::text from pg_catalog.pg_attribute as attribute
           where attribute.attrelid = class.oid and attribute.attnum > 0 and not attribute.attisdropped
       ) as columns,
       class.relkind in ('r', 'p', 'f') as is_table
from pg_catalog.pg_class as class
join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
where class.oid = to_regclass($1::text)
