-- Locks a job that waits, so that no worker takes it meanwhile; false when one has it, or it has ended. Read after
-- that: its rows in gates and blocked.
-- Called by _change_job and _add_dependency. Lock order: the message's row in blocked, its row. Errors: PM001.
create or replace function supaqueue._lock_waiting(queue_name text, msg_id bigint) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    is_there boolean;
begin
    perform from postmill.blocked as held
    where held.queue_name = lower(_lock_waiting.queue_name) and held.msg_id = _lock_waiting.msg_id for update;
    execute format('select true from %s where msg_id = $1 for update', postmill._queue_table(queue_name))
    into is_there using msg_id;
    return coalesce(is_there, false)
        and postmill._running(_lock_waiting.queue_name, array[_lock_waiting.msg_id]) = '{}';
end
$$;
revoke execute on function supaqueue._lock_waiting from public;
comment on function supaqueue._lock_waiting is 'Facade supaqueue of Postmill: locks a job that waits.';
