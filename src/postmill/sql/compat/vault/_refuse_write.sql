-- Trigger function: Vault's older recipes write into its table.
-- Called by the triggers refuse_write on both views. Takes no locks. Errors: feature_not_supported, always.
create or replace function vault._refuse_write() returns trigger
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op = 'DELETE' then
        raise exception 'Postmill keeps no values of secrets in the database'
            using errcode = 'feature_not_supported',
                  hint = format('Where calls are made: postmill secrets unset %s; here: postmill secrets revoke %1$s',
                                old.name);
    end if;
    perform vault._refuse(new.name);
    return null;
end
$$;
revoke execute on function vault._refuse_write from public;
comment on function vault._refuse_write is 'Facade vault of Postmill: refuses to write into the views.';
create or replace trigger refuse_write instead of insert or update or delete on vault.secrets
    for each row execute function vault._refuse_write();
create or replace trigger refuse_write instead of insert or update or delete on vault.decrypted_secrets
    for each row execute function vault._refuse_write();
