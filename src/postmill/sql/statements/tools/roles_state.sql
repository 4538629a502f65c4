-- Of each of the roles $1: whether the server has it, and whether it is one that nobody can be: a role of Postmill's
-- neither logs in nor has rights on the whole server. `may_create`: whether the connected role may make roles.
-- Called by postmill.db.tools.roles. Takes no locks. Errors: none.
select wanted.name, role.oid is not null as present,
       coalesce(role.rolcanlogin, false) as logs_in,
       coalesce(role.rolsuper or role.rolcreaterole or role.rolcreatedb or role.rolreplication or role.rolbypassrls,
                false) as is_mighty,
       (select own.rolsuper or own.rolcreaterole from pg_catalog.pg_roles as own where own.rolname = current_user)
       as may_create
  from unnest($1::text[]) as wanted (name)
  left join pg_catalog.pg_roles as role on role.rolname = wanted.name
