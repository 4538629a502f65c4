-- Locks the messages that hold these keys and wait, so that none of them can be claimed before this transaction ends,
-- and returns their ids. A message that runs stays unlocked: its handler may itself be sending, and would wait for us
-- while we wait for it.
-- Called by _take_keys, for replace. Locks: rows of blocked, then the queue's rows, both in msg_id order. When one of
-- the messages turns out to run, the locks are given back with the subtransaction, and those of the others taken again.
-- Errors: PM001.
create or replace function postmill._lock_waiting(queue text, keys text[], ids bigint[]) returns bigint[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    relation constant regclass := postmill._queue_table(queue);
    waiting  bigint[] := postmill._waiting(queue, keys, ids);
    still    bigint[];
begin
    while waiting <> '{}' loop
        begin
            perform from postmill.blocked as row
            where row.queue_name = lower(queue) and row.msg_id = any (waiting) order by row.msg_id for update;
            execute format('select from %s where msg_id = any ($1) order by msg_id for update', relation) using waiting;
            still := postmill._waiting(queue, keys, ids);
            still := array(select id from unnest(still) as id where id = any (waiting));
            if cardinality(still) < cardinality(waiting) then
                raise exception 'a message has begun to run' using errcode = 'PM000';
            end if;
            return waiting;
        exception when sqlstate 'PM000' then
            waiting := still;
        end;
    end loop;
    return waiting;
end
$$;
