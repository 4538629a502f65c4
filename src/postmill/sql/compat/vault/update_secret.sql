-- Refuses, and says which command changes a secret.
-- Called by applications. Takes no locks. Errors: feature_not_supported, always.
create or replace function vault.update_secret(
    secret_id uuid, new_secret text default null, new_name text default null, new_description text default null,
    new_key_id uuid default null
) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    its_name constant text := (select known.name from vault.secrets as known where known.id = secret_id);
begin
    perform vault._refuse(coalesce(its_name, new_name));
end
$$;
revoke execute on function vault.update_secret from public;
comment on function vault.update_secret is
    'Facade vault of Postmill: refuses, and says which command changes a secret.';
