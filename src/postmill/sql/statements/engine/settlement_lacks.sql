-- What the settlements of one kind need and this session does not have: a missing table, schema or right. Read from
-- the catalogue, so it needs no right itself. Called by: engine settler, after a refusal that may meet every row. $1
-- the queue's table, $2 its archive's table (null: completed messages are deleted), both without schema, $3 the kind
-- of settlement. A right to some columns is taken for enough: the statement that was refused has shown otherwise, but
-- it is not known for which row.
-- Returns each lack in words, and whether it is the queue's own table that is gone. Takes no locks. Errors: none.
with needed (kinds, schema_name, table_name, rights) as (
    values
        ('{complete,reschedule,dead_letter,cancel,gate}'::text[], 'pgmq', $1::text, '{select}'::text[]),
        ('{complete,dead_letter,cancel}', 'pgmq', $1::text, '{delete}'),
        ('{reschedule,gate}', 'pgmq', $1::text, '{update}'),
        ('{complete}', 'pgmq', $2::text, '{insert}'),
        ('{complete,reschedule,dead_letter,cancel,close,gate}', 'postmill', 'claims', '{select,update,delete}'),
        ('{gate}', 'postmill', 'gates', '{select,insert,update}'),
        ('{gate}', 'postmill', 'groups', '{insert}'),
        ('{gate}', 'postmill', 'blocked', '{select}'),
        ('{reschedule,dead_letter,close}', 'postmill', 'failures', '{insert}'),
        ('{dead_letter}', 'postmill', 'dead_letters', '{insert}'),
        ('{cancel}', 'postmill', 'cancellations', '{insert,update}')
),
found as (
    select needed.*, class.oid as relation, namespace.oid as schema
      from needed
      left join pg_catalog.pg_namespace as namespace on namespace.nspname = needed.schema_name
      left join pg_catalog.pg_class as class on class.relnamespace = namespace.oid and class.relname = needed.table_name
     where $3::text = any (needed.kinds) and needed.table_name is not null
)
select format('the table %I.%I is missing', schema_name, table_name) as lack, table_name = $1::text as queue_is_gone
  from found
 where relation is null
union
select format('no right to use the schema %I', schema_name), false
  from found
 where schema is not null and not has_schema_privilege(schema, 'usage')
union
select format('no right to %s in %I.%I', wanted, schema_name, table_name), false
  from found
 cross join unnest(rights) as wanted
 where relation is not null
   and not has_table_privilege(relation, wanted)
   and (wanted = 'delete' or not has_any_column_privilege(relation, wanted))
