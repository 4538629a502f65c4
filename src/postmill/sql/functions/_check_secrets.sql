-- Trigger function: writes down which secrets the URL and the headers of a call name, and refuses those that its role
-- was not granted. Without this, anybody could have any secret sent to a server of theirs. SECURITY DEFINER because it
-- reads private tables and fills columns that the asking role may not. `created_by` is the column's default, which is
-- that role. A superuser is a member of every role, so a grant to any role is enough for it.
-- Called by the trigger check_secrets on calls and call_queues. Takes no locks. Errors: insufficient_privilege.
create or replace function postmill._check_secrets() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
    missing text;
begin
    new.secrets := array(
        select distinct named[1]
        from regexp_matches(concat(new.url, ' ', new.headers), '\{\{secret:([^{}\s"]+)\}\}', 'g') as named
        order by 1);
    if new.secrets <> '{}' then
        select name into missing from unnest(new.secrets) as name
        where not exists (
            select from postmill.secret_grants as given
            join pg_catalog.pg_roles as granted on granted.rolname = given.role_name
            where given.secret = name and pg_has_role(new.created_by, granted.oid, 'member'))
        limit 1;
        if missing is not null then
            raise exception 'role % was not granted the secret %', quote_ident(new.created_by), missing
                using errcode = 'insufficient_privilege',
                      hint = format('postmill secrets grant %s --to %s', missing, quote_ident(new.created_by));
        end if;
    end if;
    if tg_table_name = 'calls' then
        new.host := coalesce(lower(regexp_replace(
            substring(new.url from '^[^/?#]*//[^/?#]*'), '//.*@', '//')),  -- without a user and a password
            substring(new.url from '^[^/?#]*'));  -- a secret
    end if;
    return new;
end
$$;
