-- Trigger function: one call of the queue less may run at once, from now on. A call that runs ends as it would have.
-- Called by deletes from supaqueue.worker. Locks: the queue's row in postmill.queues, then as _set_workers. Errors: as
-- _queue_of_id and _set_workers.
create or replace function supaqueue._remove_worker() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    queue   supaqueue._call_queue := supaqueue._queue_of_id(old.queue);
    numbers integer[];
begin
    perform from postmill.queues as row where row.queue_name = queue.name for update;
    queue := supaqueue._queue_of_id(old.queue);
    numbers := supaqueue._numbers(queue.id, queue.workers);
    if supaqueue._number_of(old.id) <> all (numbers) then
        return null;
    end if;
    perform supaqueue._set_workers(
        queue.name, queue.id, array_remove(numbers, supaqueue._number_of(old.id)::integer));
    return old;
end
$$;
revoke execute on function supaqueue._remove_worker from public;
create or replace trigger remove_worker instead of delete on supaqueue.worker for each row
    execute function supaqueue._remove_worker();
comment on function supaqueue._remove_worker is 'Facade supaqueue of Postmill: takes a worker from a queue.';
