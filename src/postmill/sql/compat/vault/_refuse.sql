-- Refuses to keep a value in this database, and says which command does it. The value is not repeated: an error is
-- written down in more places than a statement. The server may have written down the statement already.
-- Called by create_secret, update_secret and the triggers of the views. Takes no locks. Errors: feature_not_supported.
create or replace function vault._refuse(name text) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception 'Postmill keeps no values of secrets in the database'
        using errcode = 'feature_not_supported',
              detail = 'The server''s log may have this statement with the value in it: a new value is safer.',
              hint = format('Where calls are made: postmill secrets set %1$s, with the value on standard input; then: '
                            'postmill secrets grant %1$s --to %2$I', coalesce(name, 'NAME'), current_user);
end
$$;
revoke execute on function vault._refuse from public;
comment on function vault._refuse is 'Facade vault of Postmill: refuses to keep a value.';
