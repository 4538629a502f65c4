-- Makes a role that is not there yet; {role} is one of our own names. Roles are the server's: a migration of another
-- database may make it in the same moment. Called by postmill.db.tools.roles. Errors: insufficient_privilege.
do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = '{role}') then
        create role {role} nologin;
    end if;
exception when duplicate_object or unique_violation then
    null;
end
$$;
