-- Gives this database its name among several, once; one that has the name already is left as it is. With
-- `replace_name` another name is replaced: for a copy of a database that becomes one of its own.
-- Called by workers at their start and by `postmill migrate`. Runs with the caller's rights. Locks: the row of own_name.
-- Errors: PM003 the name breaks the rule, PM005 the database has another name.
create or replace function postmill.name_database(name text, replace_name boolean default false) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    now_called text;
begin
    if name is null or name !~ '^[a-z][a-z0-9_]{0,29}$' then
        raise exception 'a database can''t be called %', coalesce(quote_literal(name), 'null')
            using errcode = 'PM003', hint = 'A name has up to 30 of a-z, 0-9 and _, and begins with a letter.';
    end if;
    insert into postmill.own_name as own (name) values (name_database.name)
    on conflict (is_own) do update set name = excluded.name, named_at = clock_timestamp()
        where name_database.replace_name and own.name <> excluded.name;
    select own.name into now_called from postmill.own_name as own;
    if now_called <> name_database.name then
        raise exception 'this database is called %, and not %', now_called, name_database.name
            using errcode = 'PM005', hint = format(
                'Two names have one address, or two addresses are exchanged. A copy that is to be a database of its '
                'own is renamed: select postmill.name_database(%L, true)', name_database.name);
    end if;
end
$$;
