-- As Vault's table, to be read: the secrets of the caller, without their values.
-- Called by applications. Takes no locks. Errors: none.
create or replace view vault.secrets with (security_barrier) as
select id, name, description, secret, key_id, nonce, created_at, updated_at
from vault.decrypted_secrets;
comment on view vault.secrets is 'Facade vault of Postmill: the secrets of the caller''s roles.';
