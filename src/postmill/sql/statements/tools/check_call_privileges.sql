-- What the connected user may not do of what processes that make calls do: one row a missing privilege. Call queues
-- need a worker's too: see check_privileges, which also tells what users of Postmill's roles lack. Called by doctor.
-- Takes no locks. Errors: none.
select wanted
  from (select format('%s on %s', upper(privilege), relation) as wanted,
               case privilege when 'update' then has_any_column_privilege(to_regclass(relation), privilege)
                    else has_table_privilege(to_regclass(relation), privilege) end as granted
          from (values ('postmill.calls', array['select', 'update', 'delete']),
                       ('postmill.call_responses', array['select', 'insert', 'update', 'delete']),
                       ('postmill.call_queues', array['select']),
                       ('postmill.secret_grants', array['select']),
                       ('pgmq.meta', array['select'])) as used (relation, privileges)
         cross join unnest(privileges) as privilege
        union all
        select 'EXECUTE on ' || called.oid::regprocedure, has_function_privilege(called.oid, 'execute')
          from pg_proc as called
         where called.pronamespace = to_regnamespace('postmill')
           and called.proname in ('_granted', 'now', 'tidy_calls')) as needed
 where granted is false
   and not exists (select from pg_catalog.pg_roles as role
                    where role.rolname ~ '^postmill_(producer|worker|scheduler|reader|operator)$'
                      and pg_has_role(role.oid, 'usage'))
 order by wanted
