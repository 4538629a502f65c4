-- The secrets that were granted to the caller or to a role that it is a member of, with the reference to each. What
-- else Vault tells of a secret, this database does not know. The id follows from the name, and stays the same.
-- Called by applications. Takes no locks. Errors: none.
create or replace view vault.decrypted_secrets with (security_barrier) as
select
    substr(encode(sha256(convert_to(given.secret, 'UTF8')), 'hex'), 1, 32)::uuid as id,
    given.secret as name,
    ''::text as description,
    format('{{secret:%s}}', given.secret) as secret,
    format('{{secret:%s}}', given.secret) as decrypted_secret,
    null::uuid as key_id,
    null::bytea as nonce,
    min(given.granted_at) as created_at,
    max(given.granted_at) as updated_at
from postmill.secret_grants as given
join pg_catalog.pg_roles as granted on granted.rolname = given.role_name
where pg_has_role(current_user, granted.oid, 'member')
group by given.secret;
comment on view vault.decrypted_secrets is
    'Facade vault of Postmill: the secrets of the caller''s roles, as references.';
