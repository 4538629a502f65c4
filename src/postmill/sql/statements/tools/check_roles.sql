-- Which roles of `postmill migrate --roles` this database uses, and which of them the connected user has; a superuser
-- has none, as it needs none.
-- Called by doctor. Takes no locks. Errors: none.
select role.rolname::text as name,
       pg_has_role(role.oid, 'usage')
       and not (select login.rolsuper from pg_roles as login where login.rolname = current_user) as is_own
  from pg_roles as role
 where role.rolname in ('postmill_producer', 'postmill_worker', 'postmill_scheduler', 'postmill_reader',
                        'postmill_operator')
   and has_schema_privilege(role.oid, to_regnamespace('postmill'), 'usage')
 order by role.rolname
