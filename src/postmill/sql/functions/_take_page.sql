-- Takes the next page of an operation, does it, and moves the operation on; returns how many it came to. After the last
-- page comes a second look at what was busy, and then the operation is done.
-- Called by _step_operation, which holds the operation. Locks and errors: as there, and PM001 no such queue.
create or replace function postmill._take_page(operation postmill.operations, page integer) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
    letters constant boolean := operation.kind in ('replay', 'discard');
    seen    bigint[];
    reached bigint;
    held    bigint[];
    still   bigint[];
begin
    if operation.is_again then
        seen := array(select row.id from postmill.operation_rows as row
                      where row.operation_id = operation.operation_id and row.outcome = 'busy'
                        and row.id > operation.position order by row.id limit page);
        reached := coalesce(seen[page], operation.upper_id);
    else
        select found.ids, found.reached into seen, reached
        from postmill._matching(operation.queue_name, letters, operation.filter, operation.position,
                                operation.upper_id, page) as found;
    end if;
    held := postmill._hold(operation.queue_name, letters, seen);
    still := seen;
    if cardinality(held) < cardinality(seen) or postmill._conditions(operation.filter, letters) <> '' then
        -- A statement of its own: what matched may have changed before we got its row.
        select found.ids into still
        from postmill._matching(operation.queue_name, letters, operation.filter, 0, operation.upper_id, page, seen)
            as found;
    end if;
    perform postmill._operate_on_page(operation, array(
        select unnest(held) intersect select unnest(still) order by 1));
    insert into postmill.operation_rows (operation_id, id, outcome)
    select operation.operation_id, other.id, case when matches.id is null then 'gone' else 'busy' end
    from (select unnest(seen) except select unnest(held)) as other (id)
    left join unnest(still) as matches (id) using (id)
    where operation.is_again or matches.id is not null
    on conflict on constraint operation_rows_pkey do update set outcome = excluded.outcome;
    perform postmill._move_on(operation, seen, reached);
    return cardinality(seen);
end
$$;
