-- What stands in the places that facades need. $1: places, such as 'schema cron' and 'function public.f(text)'. One row
-- for each place that is taken: its owner, the extension that made it, and whether it is a facade of ours: its comment
-- begins with the mark, and its owner is one of those that we work for.
-- Called by postmill.db.tools.migrate before it decides. Takes no locks. Errors: none.
select
    asked.place,
    pg_catalog.pg_get_userbyid(found.owner)::text as owner,
    made_by.extname::text as extension,
    coalesce(pg_catalog.obj_description(found.oid, found.catalog) like 'Facade %of Postmill:%', false)
        and made_by.extname is null
        and found.owner in (
--+ facade_owners
        ) as is_ours
from unnest($1::text[]) as asked (place)
cross join lateral (
    select split_part(asked.place, ' ', 1) as kind, substr(asked.place, strpos(asked.place, ' ') + 1) as name
) as part
cross join lateral (
    select namespace.oid, namespace.nspowner as owner, 'pg_namespace' as catalog
    from pg_catalog.pg_namespace as namespace
    where part.kind = 'schema' and namespace.nspname = part.name
    union all
    select function.oid, function.proowner, 'pg_proc' from pg_catalog.pg_proc as function
    where part.kind = 'function' and function.oid = to_regprocedure(part.name)
    union all
    select relation.oid, relation.relowner, 'pg_class' from pg_catalog.pg_class as relation
    where part.kind in ('table', 'view') and relation.oid = to_regclass(part.name)
) as found
left join pg_catalog.pg_depend as dependence
    on dependence.objid = found.oid and dependence.deptype = 'e'
    and dependence.classid = ('pg_catalog.' || found.catalog)::regclass
left join pg_catalog.pg_extension as made_by on made_by.oid = dependence.refobjid
