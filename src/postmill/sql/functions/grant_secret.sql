-- Lets a role have a secret of the project filled into its calls. Calling it again is harmless.
-- Called by people and the command line. Locks: the grant's row. Errors: PM003 no such role.
create or replace function postmill.grant_secret(secret text, role_name name) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = grant_secret.role_name) then
        raise exception 'there is no role %', quote_ident(role_name)
            using errcode = 'PM003', hint = 'create role ... makes one.';
    end if;
    insert into postmill.secret_grants (secret, role_name) values (grant_secret.secret, grant_secret.role_name)
    on conflict do nothing;
end
$$;
