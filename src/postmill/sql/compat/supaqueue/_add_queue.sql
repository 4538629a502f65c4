-- Trigger function: a row of supaqueue.queue is a call queue of a function. It has no worker at first, so nothing of it
-- runs. Without a name it has its function's.
-- Called by inserts into the view. Locks as create_call_queue, then as pause. Errors: those of create_call_queue; PM003
-- a column that can't be written or is null, PM005 the name is taken.
create or replace function supaqueue._add_queue() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if new.id is not null or new.created_at is not null then
        perform supaqueue._refuse_given(
            'the id of a queue', 'It is made of its name: insert into supaqueue.queue (name, edge_function_name).');
    elsif new.edge_function_name is null or new.default_headers is null then
        raise exception 'edge_function_name and default_headers can''t be null'
            using errcode = 'PM003', hint = 'A queue calls one function: its name, e.g. ''resize''.';
    end if;
    new.name := coalesce(nullif(new.name, ''), new.edge_function_name);
    if exists (select from pgmq.meta as made where lower(made.queue_name) = lower(new.name)) then
        raise exception 'there is a queue % already', quote_literal(new.name)
            using errcode = 'PM005', hint = 'Give another name; or update its row, if it is in supaqueue.queue.';
    end if;
    perform postmill.create_call_queue(
        new.name, function => new.edge_function_name, headers => new.default_headers, workers => 1);
    perform postmill.pause(new.name, supaqueue._no_workers());
    select queue.id, queue.created_at into new.id, new.created_at
    from supaqueue.queue as queue where queue.name = new.name;
    return new;
end
$$;
revoke execute on function supaqueue._add_queue from public;
create or replace trigger add_queue instead of insert on supaqueue.queue for each row
    execute function supaqueue._add_queue();
comment on function supaqueue._add_queue is 'Facade supaqueue of Postmill: makes a queue.';
