-- Ends an operation where it is: what it has done stays done. Returns its state: aborted, or how it had ended before.
-- Called by people, the command line and dashboards. Locks: the operation, behind the page in hand. Errors: PM013 no
-- such operation.
create or replace function postmill.abort_operation(operation_id bigint) returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    state_now text;
begin
    update postmill.operations as operation set state = 'aborted', ended_at = clock_timestamp()
    where operation.operation_id = abort_operation.operation_id and operation.ended_at is null;
    select operation.state into state_now from postmill.operations as operation
    where operation.operation_id = abort_operation.operation_id;
    if state_now is null then
        raise exception 'there is no operation %', abort_operation.operation_id
            using errcode = 'PM013', hint = 'Those there are: postmill operation list';
    end if;
    return state_now;
end
$$;
