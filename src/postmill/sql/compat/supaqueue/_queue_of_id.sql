-- The call queue of an id, or of a job; refuses what is none.
-- Called by the trigger functions. Takes no locks. Errors: PM001 there is no such queue, PM003 null.
create or replace function supaqueue._queue_of_id(id uuid) returns supaqueue._call_queue
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    found_queue supaqueue._call_queue;
begin
    if id is null then
        raise exception 'the queue is null'
            using errcode = 'PM003', hint = 'Give the id of a row of supaqueue.queue.';
    end if;
    select * into found_queue from supaqueue._call_queue as queue where queue.id = _queue_of_id.id;
    if not found then
        raise exception 'there is no queue %', id
            using errcode = 'PM001', hint = 'Its id is in supaqueue.queue; a row that is inserted there makes one.';
    end if;
    return found_queue;
end
$$;
revoke execute on function supaqueue._queue_of_id from public;
comment on function supaqueue._queue_of_id is 'Facade supaqueue of Postmill: the call queue of an id.';
