-- Gives what rights_remember has remembered. A function that was dropped and made again has the owner and the grants
-- of the one before. A new function that only others call (its name begins with `_`), and that runs with its caller's
-- rights, may be executed by each role that could execute any function before: else what that role was granted would
-- fail inside. A new table has the privileges that a role had on all tables.
-- Called by postmill.db.tools.migrate last in each step that makes functions. Takes no locks beyond those of GRANT.
-- Errors: none.
do $$
declare
    before json := current_setting('postmill.rights')::json;
    due    record;
begin
    for due in
        with known as (
            select * from json_to_recordset(before -> 'functions')
                as (name name, oid oid, owner oid, grantee oid, grantable boolean)
        ), made as (
            select function.oid, function.proname as name, function.proowner as owner, function.prosecdef
            from pg_proc as function
            where function.pronamespace = to_regnamespace('postmill')
              and function.oid not in (select known.oid from known)
        ), given as (
            select made.oid, known.grantee, known.grantable
            from made join known using (name)
            union
            select made.oid, known.grantee, false
            from made cross join known
            where starts_with(made.name, '_') and not made.prosecdef
              and made.name not in (select known.name from known)
        )
        select distinct format('alter function %s owner to %I', made.oid::regprocedure, role.rolname) as command
        from made join known using (name) join pg_roles as role on role.oid = known.owner
        where made.owner <> known.owner
        union all
        select format('grant execute on function %s to %I %s', given.oid::regprocedure, role.rolname,
            case when bool_or(given.grantable) then 'with grant option' end)
        from given join pg_roles as role on role.oid = given.grantee
        group by given.oid, role.rolname
        union all
        select format('grant %s on %s %s to %I %s', general.privilege,
            case when general.is_sequence then 'sequence' else 'table' end, made.oid::regclass, role.rolname,
            case when general.grantable then 'with grant option' end)
        from json_to_recordset(before -> 'tables')
            as general (grantee oid, privilege text, is_sequence boolean, grantable boolean)
        join pg_roles as role on role.oid = general.grantee
        join pg_class as made
            on made.relnamespace = to_regnamespace('postmill') and made.relkind in ('r', 'p', 'v', 'S')
            and (made.relkind = 'S') = general.is_sequence
            and made.oid not in (select json_array_elements_text(before -> 'known_tables')::oid)
    loop
        execute due.command;
    end loop;
end
$$;
