-- What each of the roles needs: to find its way, and to see which version the schema has. Functions whose names
-- begin with `_` run with their caller's rights, so they let nobody do more: tables and other functions decide that.
-- Called by postmill.db.tools.roles. Locks: none beyond those of GRANT. Errors: none of its own.
grant usage on schema postmill
    to postmill_producer, postmill_worker, postmill_scheduler, postmill_reader, postmill_operator;
grant select on postmill.migrations, postmill.components, postmill.queues, postmill.active_workers,
    postmill.own_name
    to postmill_producer, postmill_worker, postmill_scheduler, postmill_reader, postmill_operator;
grant execute on function postmill.database_name, postmill.now
    to postmill_producer, postmill_worker, postmill_scheduler, postmill_reader, postmill_operator;
do $$
declare
    inner_function regprocedure;
begin
    for inner_function in
        select known.oid from pg_proc as known
        where known.pronamespace = 'postmill'::regnamespace and starts_with(known.proname, '_')
          and not known.prosecdef and known.prorettype <> 'trigger'::regtype
    loop
        execute format('grant execute on function %s to postmill_producer, postmill_worker, postmill_scheduler, '
                       'postmill_reader, postmill_operator', inner_function);
    end loop;
end
$$;
