-- Trigger function: writes down which secrets the URL and the headers of a call name, and refuses those that its role
-- was not granted. Without this, anybody could have any secret sent to a server of theirs. SECURITY DEFINER because it
-- reads private tables and fills columns that the asking role may not. `created_by` is the column's default, which is
-- that role. When the call is sent, its role is asked for again: see _granted.
-- Called by the trigger check_secrets on calls, call_queues and scheduled_calls. Takes no locks. Errors:
-- insufficient_privilege.
create or replace function postmill._check_secrets() returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    missing text;
begin
    new.secrets := array(
        select distinct named[1]
        from regexp_matches(concat(new.url, ' ', new.headers), $re$\{\{secret:([^{}\s"]+)\}\}$re$, 'g') as named
        order by 1);
    if new.secrets <> '{}' then
        select min(name) into missing from unnest(new.secrets) as name
        where name <> all (postmill._granted(new.secrets, new.created_by));
        if missing is not null then
            raise exception 'role % was not granted the secret %', quote_ident(new.created_by), missing
                using errcode = 'insufficient_privilege',
                      hint = format('postmill secrets grant %s --to %s', missing, quote_ident(new.created_by));
        end if;
    end if;
    if tg_table_name = 'calls' then
        new.host := coalesce('function:' || new.function_name, lower(regexp_replace(
            substring(new.url from '^[^/?#]*//[^/?#]*'), '//.*@', '//')),  -- without a user and a password
            substring(new.url from '^[^/?#]*'));  -- a secret
    end if;
    return new;
end
$$;
