-- Carries out the next page of an operation: of the one named, or of that which has been due for longest. One
-- transaction a page: whatever ends this session, what was done is written down with it, and the next page follows.
-- What another session holds is busy, and is tried once more at the end. Returns how the operation stands, and when its
-- next page is due; no row when nothing is due here.
-- Called by the process that runs operations, and by the command line while it waits for one; any number at once.
-- Waits for a lock for half a second at most.
-- Lock order: the operation (skipping locked), then as _hold; then a statement of its own, which sees what was
-- committed before: as _operate, operation_rows. Errors: those that pass by themselves.
create or replace function postmill._step_operation(only_id bigint default null, page integer default 500)
returns table (
    operation_id bigint, kind text, queue_name text, state text, done bigint, error text, next_in_s double precision
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set lock_timeout = '500ms'
as $$
#variable_conflict use_column
declare
    operation postmill.operations;
    handled   bigint;
begin
    select * into operation from postmill.operations as due
    where due.ended_at is null and due.next_at <= clock_timestamp()
      and (only_id is null or due.operation_id = only_id) and postmill._may_operate(due.queue_name)
    order by due.next_at limit 1 for update skip locked;
    if not found then
        return;
    end if;
    begin
        handled := postmill._take_page(operation, 
            least(page, greatest(1, coalesce(ceil(operation.per_second / 2), page)))::integer);
    exception when others then
        if postmill._passes(sqlstate) then
            raise;
        end if;
        update postmill.operations as failed
        set state = 'failed', error = sqlerrm, ended_at = clock_timestamp()
        where failed.operation_id = operation.operation_id;
    end;
    return query update postmill.operations as went
    set next_at = clock_timestamp() + make_interval(secs => coalesce(handled / went.per_second, 0))
    where went.operation_id = operation.operation_id
    returning went.operation_id, went.kind, went.queue_name, went.state, went.done, went.error,
        extract(epoch from went.next_at - clock_timestamp())::double precision;
end
$$;
