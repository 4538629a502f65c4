-- Takes a secret from a role: it holds for calls that are asked for from now on. Calling it again is harmless.
-- Called by people and the command line. Locks: the grant's row. Errors: none.
create or replace function postmill.revoke_secret(secret text, role_name name) returns void
language sql volatile
set search_path = ''
as $$
    delete from postmill.secret_grants as given
    where given.secret = revoke_secret.secret and given.role_name = revoke_secret.role_name
$$;
