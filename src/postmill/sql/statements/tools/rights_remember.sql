-- Remembers, until the end of the transaction, what was granted on the functions and tables of schema postmill, since
-- a function whose parameters or columns change must be dropped and made again, and a new table has no grants.
-- `functions`: one entry for each function and each role that may execute it. `tables`: one entry for each privilege
-- that a role has on every table (or every sequence) of the schema: such a grant was given on all of them.
-- Called by postmill.db.tools.migrate first in each step that makes functions; see rights_restore. Takes no locks.
-- Errors: none.
do $$
begin
    perform set_config('postmill.rights', json_build_object(
        'functions', (
            select coalesce(json_agg(json_build_object(
                'name', known.proname, 'oid', known.oid, 'owner', known.proowner,
                'grantee', given.grantee, 'grantable', given.is_grantable)), '[]')
            from pg_proc as known
            left join aclexplode(known.proacl) as given on given.grantee not in (0, known.proowner)
            where known.pronamespace = to_regnamespace('postmill')),
        'known_tables', (
            select coalesce(json_agg(known.oid), '[]')
            from pg_class as known
            where known.relnamespace = to_regnamespace('postmill')),
        'tables', (
            select coalesce(json_agg(general), '[]') from (
                select given.grantee, given.privilege_type as privilege, known.is_sequence,
                    bool_and(given.is_grantable) as grantable
                from (
                    select class.relacl, class.relowner, class.relkind = 'S' as is_sequence,
                        count(*) over (partition by class.relkind = 'S') as of_its_kind
                    from pg_class as class
                    where class.relnamespace = to_regnamespace('postmill') and class.relkind in ('r', 'p', 'v', 'S')
                ) as known
                cross join aclexplode(known.relacl) as given
                where given.grantee not in (0, known.relowner)
                group by given.grantee, given.privilege_type, known.is_sequence
                having count(*) = max(known.of_its_kind)
            ) as general)
    )::text, true);
end
$$;
