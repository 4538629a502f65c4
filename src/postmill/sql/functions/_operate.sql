-- Does what an operation is there for to some messages or letters, by the function that does it to a single one, and
-- says of each what became of it.
-- Called by _step_operation, which holds them. Locks and errors: as _cancel, _retry, _move, _replay and _discard.
create or replace function postmill._operate(operation postmill.operations, ids bigint[])
returns table (id bigint, outcome text, detail text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    case operation.kind
        when 'cancel' then
            return query select * from postmill._cancel(
                operation.queue_name, ids, format('operation %s', operation.operation_id));
        when 'retry' then
            return query select * from postmill._retry(operation.queue_name, ids);
        when 'move' then
            return query select * from postmill._move(operation.queue_name, ids, operation.target);
        when 'replay' then
            return query select letter.letter_id, case when letter.msg_id is null then 'skipped' else 'replayed' end,
                coalesce(letter.msg_id::text, 'its unique key is taken')
            from postmill._replay(operation.queue_name, ids, null, operation.requested_by) as letter;
        when 'discard' then
            return query select gone, 'discarded', null::text
            from unnest(postmill._discard(operation.queue_name, ids)) as gone;
    end case;
end
$$;
