-- Whether this role may take messages out of a queue: an operation on another one is left to a process whose role may.
-- One on a queue that is gone is anybody's, to be ended. Called by _step_operation. Takes no locks. Errors: none.
create or replace function postmill._may_operate(queue text) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(has_table_privilege(relation, 'delete') and has_table_privilege(relation, 'update'), true)
    from to_regclass(format('pgmq.%I', lower('q_' || queue))) as relation;
$$;
