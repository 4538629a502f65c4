-- Takes from Postmill's roles all rights in the schemas {schemas}, which are our own names, as far as what they are on
-- belongs to the connected role. Called by postmill.db.tools.roles: before it grants, so that a right that is no longer
-- needed goes, and before it drops the roles. Locks: none beyond those of REVOKE. Errors: none of its own.
do $$
declare
    due record;
begin
    for due in
        with known as (
            select 'schema' as kind, quote_ident(nspname) as name, nspacl as acl, nspowner as owner, oid as schema
            from pg_catalog.pg_namespace
            union all
            select 'routine', oid::regprocedure::text, proacl, proowner, pronamespace from pg_catalog.pg_proc
            union all
            select case relkind when 'S' then 'sequence' else 'table' end, oid::regclass::text, relacl, relowner,
                   relnamespace
            from pg_catalog.pg_class
            union all
            select 'table', class.oid::regclass::text, field.attacl, class.relowner, class.relnamespace
            from pg_catalog.pg_attribute as field join pg_catalog.pg_class as class on class.oid = field.attrelid
        )
        select distinct known.kind, known.name, role.rolname
        from known
        join pg_catalog.pg_namespace as place on place.oid = known.schema and place.nspname in ({schemas})
        cross join pg_catalog.aclexplode(known.acl) as given
        join pg_catalog.pg_roles as role on role.oid = given.grantee and role.rolname in ({roles})
        where pg_has_role(known.owner, 'usage')
    loop
        execute format('revoke all on %s %s from %I', due.kind, due.name, due.rolname);
    end loop;
end
$$;
