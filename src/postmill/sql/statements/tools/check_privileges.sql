-- What the connected user may not do of what workers do: one row a missing privilege, those on schemas first. Making
-- queues is left to the owner. $1: the user has roles of Postmill's; then only the schemas are looked at.
-- Called by doctor. Takes no locks. Errors: none.
select wanted
from (
    select 'USAGE on schema pgmq' as wanted, has_schema_privilege(to_regnamespace('pgmq'), 'USAGE') as granted
    union all
    select 'USAGE on schema postmill', has_schema_privilege(to_regnamespace('postmill'), 'USAGE')
    union all
    select 'SELECT, INSERT, UPDATE, DELETE on ' || relation.oid::regclass,
        has_table_privilege(relation.oid, 'SELECT') and has_table_privilege(relation.oid, 'INSERT')
        and has_table_privilege(relation.oid, 'UPDATE') and has_table_privilege(relation.oid, 'DELETE')
    from pg_class as relation
    where relation.relkind in ('r', 'p')
      and (relation.relnamespace = to_regnamespace('postmill')
           or relation.relnamespace = to_regnamespace('pgmq') and starts_with(relation.relname, 'q_'))
      and relation.relname not in ('components', 'migrations')
      and not $1::boolean
) as needed
where granted is false
order by wanted !~ '^USAGE', wanted
limit 20
