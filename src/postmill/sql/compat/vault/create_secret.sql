-- Refuses, and says which command keeps a secret.
-- Called by applications. Takes no locks. Errors: feature_not_supported, always.
create or replace function vault.create_secret(
    new_secret text, new_name text default null, new_description text default '', new_key_id uuid default null
) returns uuid
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    perform vault._refuse(new_name);
    return null;
end
$$;
revoke execute on function vault.create_secret from public;
comment on function vault.create_secret is 'Facade vault of Postmill: refuses, and says which command keeps a secret.';
