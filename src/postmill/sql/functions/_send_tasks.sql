-- Sends messages to queues: one insert a queue. The arrays have an entry a message; a priority may be null. Returns the
-- queues that took none, because they are gone or closed to the owner of this function: what becomes of the runs is
-- the caller's affair, and messages to other queues are sent.
-- Called by the functions that start steps. Locks: none beyond the inserts'. Errors: what a user's trigger raises.
create or replace function postmill._send_tasks(
    queues text[], due_at timestamptz[], messages jsonb[], priorities integer[]
) returns text[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
as $$
declare
    queue  text;
    has_headers boolean;
    refused text[] := '{}';
begin
    foreach queue in array array(select distinct name from unnest(queues) as name order by name) loop
        begin
            has_headers := array_remove(priorities, null) <> '{}' and exists (
                select from pg_attribute where attrelid = postmill._queue_table(queue) and attname = 'headers');
            execute format(
                'insert into %s (vt, message %s) select task.due_at, task.message %s'
                ' from unnest($1, $2, $3, $4) with ordinality as task (queue, due_at, message, priority, place)'
                ' where task.queue = $5 order by task.place',
                postmill._queue_table(queue), case when has_headers then ', headers' end,
                case when has_headers then
                    ', case when task.priority is not null'
                    ' then jsonb_build_object(''postmill-priority'', task.priority) end' end)
            using queues, due_at, messages, priorities, queue;
        exception when sqlstate 'PM001' or undefined_table or insufficient_privilege then
            refused := refused || queue;
        end;
    end loop;
    return refused;
end
$$;
