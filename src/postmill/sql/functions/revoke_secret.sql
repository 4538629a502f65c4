-- Takes a secret from a role: no call has it that is sent from now on, also where it was asked for, or
-- its call queue was made, before. Calling it again is harmless.
-- Called by people and the command line. Locks: the grant's row. Errors: none.
create or replace function postmill.revoke_secret(secret text, role_name name) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    delete from postmill.secret_grants as given
    where given.secret = revoke_secret.secret and given.role_name = revoke_secret.role_name
$$;
