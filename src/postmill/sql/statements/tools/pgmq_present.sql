-- Is pgmq here, and what does its message record look like? One row.
-- Asks for the record type, not for an extension: an install from plain SQL has no entry in pg_extension.
-- Called by postmill.db.tools.migrate, postmill.db.tools.pgmq and the engine. Takes no locks. Errors: none.
select
    record.oid is not null as present,
    coalesce(array_agg(attribute.attname::text) filter (where attribute.attname is not null), '{}') as attributes
from (
    select (
        select type.oid
        from pg_catalog.pg_type as type
        join pg_catalog.pg_namespace as namespace on namespace.oid = type.typnamespace
        where namespace.nspname = 'pgmq' and type.typname = 'message_record'
    ) as oid
) as record
left join pg_catalog.pg_type as type on type.oid = record.oid
left join pg_catalog.pg_attribute as attribute
    on attribute.attrelid = type.typrelid and attribute.attnum > 0 and not attribute.attisdropped
group by record.oid
