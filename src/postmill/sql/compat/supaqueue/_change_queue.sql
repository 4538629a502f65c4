-- Trigger function: changes the function and the headers of a queue, at once. What else is set of it stays.
-- Called by updates of supaqueue.queue. Locks: the queue's row in queues, then as create_call_queue. Errors: those of
-- create_call_queue; PM003 a column that can't be changed.
create or replace function supaqueue._change_queue() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    calling postmill.call_queues;
    known   postmill.queues;
begin
    if (new.id, new.created_at, new.name) is distinct from (old.id, old.created_at, old.name) then
        perform supaqueue._refuse_given(
            'id, created_at and name of a queue', 'Insert another queue, and send its jobs there.');
    end if;
    select * into known from postmill.queues as row where row.queue_name = old.name for update;
    select * into calling from postmill.call_queues as row where row.queue_name = old.name;
    perform postmill.create_call_queue(
        old.name, headers => new.default_headers,
        function => case when new.edge_function_name is distinct from calling.url then new.edge_function_name end,
        url => case when new.edge_function_name = calling.url then calling.url end,
        workers => coalesce(known.max_running, 1), max_attempts => calling.max_attempts,
        timeout => calling.timeout_ms * interval '1 millisecond');
    perform postmill.limit_queue(old.name, known.max_running, known.starts, known.per);
    return new;
end
$$;
revoke execute on function supaqueue._change_queue from public;
create or replace trigger change_queue instead of update on supaqueue.queue for each row
    execute function supaqueue._change_queue();
comment on function supaqueue._change_queue is 'Facade supaqueue of Postmill: changes a queue.';
