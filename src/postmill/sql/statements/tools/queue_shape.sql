-- What the table of each queue looks like, or of queue $1 only (null: all); read from the catalogue, so nothing of the
-- queue itself is locked or needs a privilege. A queue that is registered but has no table is left out.
-- Tables of long names are cut to 63 bytes, as the server does when it makes them.
-- An archive may be anything that takes rows, a view or a foreign table too: the part cursor_columns must say the same
-- of it.
-- Called by postmill.db.tools.pgmq (psycopg) and the engine (asyncpg). Takes no locks. Errors: undefined_table without
-- pgmq.
select
    meta.queue_name::text as queue_name,
    class.oid as relation,
    class.relkind = 'p' as is_partitioned,
    exists (
        select from pg_catalog.pg_attribute as attribute
        where attribute.attrelid = class.oid and attribute.attname = 'headers' and not attribute.attisdropped
    ) as has_headers,
    exists (
        select from pg_catalog.pg_attribute as attribute
        where attribute.attrelid = class.oid and attribute.attname = 'last_read_at' and not attribute.attisdropped
    ) as has_last_read_at,
    exists (
        select from pg_catalog.pg_attribute as attribute
        where attribute.attrelid = archive.oid and attribute.attname = 'headers' and not attribute.attisdropped
    ) as archive_has_headers,
    exists (
        select from pg_catalog.pg_attribute as attribute
        where attribute.attrelid = archive.oid and attribute.attname = 'last_read_at' and not attribute.attisdropped
    ) as archive_has_last_read_at,
    (
        -- Found by what owns it: the sequence of a table that was renamed, or restored beside another, has another
        -- name.
        select format('%I.%I', sequence_schema.nspname, sequence.relname)
        from pg_catalog.pg_depend as owned
        join pg_catalog.pg_attribute as attribute
            on attribute.attrelid = owned.refobjid and attribute.attnum = owned.refobjsubid
            and attribute.attname = 'msg_id'
        join pg_catalog.pg_class as sequence on sequence.oid = owned.objid and sequence.relkind = 'S'
        join pg_catalog.pg_namespace as sequence_schema on sequence_schema.oid = sequence.relnamespace
        where owned.classid = 'pg_catalog.pg_class'::regclass and owned.refclassid = 'pg_catalog.pg_class'::regclass
          and owned.refobjid = class.oid and owned.deptype in ('a', 'i')
        limit 1
    ) as id_sequence
from pgmq.meta as meta
join pg_catalog.pg_class as class
    on class.relname = lower('q_' || meta.queue_name)::name and class.relkind in ('r', 'p')
join pg_catalog.pg_namespace as namespace
    on namespace.oid = class.relnamespace and namespace.nspname = 'pgmq'
left join pg_catalog.pg_class as archive
    on archive.relname = lower('a_' || meta.queue_name)::name and archive.relnamespace = class.relnamespace
where $1::text is null or meta.queue_name = $1::text
order by meta.queue_name
