-- Carries out one page of an operation and writes down what became of each message or letter. Where the database
-- refuses one of them (a trigger, a constraint, a right), they are done one by one, and only that one has failed.
-- Called by _step_operation, which holds the rows of `ids`. Locks: as _operate; operation_rows. Errors: those that pass
-- by themselves.
create or replace function postmill._operate_on_page(operation postmill.operations, ids bigint[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into postmill.operation_rows as known (operation_id, id, outcome, detail)
    select operation.operation_id, done.id, done.outcome, done.detail from postmill._operate(operation, ids) as done
    on conflict on constraint operation_rows_pkey do update
        set outcome = excluded.outcome, detail = excluded.detail;
exception when others then
    if postmill._passes(sqlstate) then
        raise;
    elsif cardinality(ids) > 1 then
        perform postmill._operate_on_page(operation, array[each]) from unnest(ids) as each;
    else
        insert into postmill.operation_rows as known (operation_id, id, outcome, detail)
        values (operation.operation_id, ids[1], 'failed', sqlerrm)
        on conflict on constraint operation_rows_pkey do update
            set outcome = excluded.outcome, detail = excluded.detail;
    end if;
end
$$;
