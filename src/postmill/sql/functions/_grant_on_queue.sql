-- Gives Postmill's roles what they need of a queue's tables, where those roles are used in this database (`postmill
-- migrate --roles`) and the tables belong to the caller. Again and again is harmless.
-- Called by create_queue and `postmill migrate --roles`. Locks: none beyond those of GRANT. Errors: PM001.
create or replace function postmill._grant_on_queue(queue text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    due record;
begin
    for due in
        select needed.*, class.relkind = 'S' as is_sequence
        from postmill._queue_rights(queue) as needed
        join pg_catalog.pg_class as class on class.oid = needed.relation and pg_has_role(class.relowner, 'usage')
        join pg_catalog.pg_roles as role on role.rolname = needed.role_name
        where has_schema_privilege(role.oid, 'postmill', 'usage')
    loop
        execute format('grant %s %s on %s %s to %I', due.privilege, '(' || due.columns || ')',
                       case when due.is_sequence then 'sequence' else 'table' end, due.relation, due.role_name);
    end loop;
end
$$;
