-- Asks for one thing to be done to many messages of a queue (cancel, retry, move to `target`) or to its dead letters
-- (replay, discard): to all, or to those that match `filter` (see _conditions). A process that runs operations carries
-- it out, 500 in a transaction, at most `per_second`. Returns its id: see the tables operations and operation_rows.
-- It is about what is there now, up to `upper_id`; `expected` is what plan_operation has counted.
-- The same `idempotency_key` again returns the same operation, and starts nothing.
-- Called by people, the command line and dashboards. Locks: the key. Errors: PM001 no such queue, PM003, PM005 the key
-- belongs to another operation.
create or replace function postmill.start_operation(
    kind            text,
    queue           text,
    filter          jsonb default '{}',
    target          text default null,
    per_second      double precision default null,
    upper_id        bigint default null,
    expected        bigint default null,
    idempotency_key text default null
) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    number bigint;
    known  postmill.operations;
begin
    perform postmill._check_operation(kind, queue, filter, target);
    if not coalesce(per_second, 1) between 0.01 and 1000000 then
        raise exception 'per_second is not between 0.01 and 1,000,000: %', per_second
            using errcode = 'PM003', hint = 'Leave it out to go as fast as the database can.';
    end if;
    insert into postmill.operations
        (kind, queue_name, filter, target, per_second, upper_id, expected, idempotency_key)
    values (kind, queue, filter, target, per_second,
            coalesce(start_operation.upper_id, postmill._last_id(queue, kind in ('replay', 'discard'))),
            expected, start_operation.idempotency_key)
    on conflict on constraint operations_idempotency_key_key do nothing
    returning operation_id into number;
    if number is null then
        select * into known from postmill.operations as operation
        where operation.idempotency_key = start_operation.idempotency_key;
        if (known.kind, known.queue_name, known.filter, known.target)
            is distinct from (kind, queue, filter, target) then
            raise exception 'the idempotency key belongs to operation %', known.operation_id
                using errcode = 'PM005', hint = 'Give another operation a key of its own.';
        end if;
        return known.operation_id;
    end if;
    perform pg_notify('postmill:operations', '');
    return number;
end
$$;
