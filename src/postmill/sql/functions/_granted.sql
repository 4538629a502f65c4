-- Those of `secrets` that a role may have filled into its calls now. A superuser is a member of every role, so a grant
-- to any role is enough for it. A role that is gone has none.
-- Called by the trigger function _check_secrets, when a call is asked for, and by calls, when one is sent. Takes no
-- locks. Errors: none.
create or replace function postmill._granted(secrets text[], role_name name) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select array(
        select distinct given.secret
        from postmill.secret_grants as given
        join pg_catalog.pg_roles as granted on granted.rolname = given.role_name
        join pg_catalog.pg_roles as asking on asking.rolname = _granted.role_name
        where given.secret = any (_granted.secrets) and pg_has_role(asking.oid, granted.oid, 'member')
        order by 1)
$$;
