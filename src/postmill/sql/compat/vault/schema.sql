-- The names that people with Supabase Vault use. The values of secrets are not in this database: a process that makes
-- calls has them (postmill secrets set), and fills them in as a call is sent. So what is "decrypted" here is a
-- reference, {{secret:NAME}}, which may stand in the URL and the headers of a call. Nothing is open to PUBLIC: what to
-- grant stands in docs/coming-from/vault.md.
create schema if not exists vault;
comment on schema vault is 'Facade vault of Postmill: the names people know from Supabase Vault.';
