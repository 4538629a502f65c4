-- Trigger function: one more call of the queue may run at once, from now on.
-- Called by inserts into supaqueue.worker. Locks: the queue's row in postmill.queues, then as _set_workers. Errors: as
-- _queue_of_id and _set_workers; PM003 a column that can't be written.
create or replace function supaqueue._add_worker() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    queue   supaqueue._call_queue := supaqueue._queue_of_id(new.queue);
    numbers integer[];
begin
    if new.id is not null or new.created_at is not null or new.locked is distinct from false then
        perform supaqueue._refuse_given(
            'id, created_at and locked of a worker', 'Give its queue: insert into supaqueue.worker (queue).');
    end if;
    perform from postmill.queues as row where row.queue_name = queue.name for update;
    queue := supaqueue._queue_of_id(new.queue);
    numbers := supaqueue._numbers(queue.id, queue.workers);
    numbers := numbers || 1 + coalesce((select max(number) from unnest(numbers) as number), 0);
    perform supaqueue._set_workers(queue.name, queue.id, numbers);
    new.id := supaqueue._worker_id(queue.id, numbers[cardinality(numbers)]);
    new.created_at := queue.created_at;
    return new;
end
$$;
revoke execute on function supaqueue._add_worker from public;
create or replace trigger add_worker instead of insert on supaqueue.worker for each row
    execute function supaqueue._add_worker();
comment on function supaqueue._add_worker is 'Facade supaqueue of Postmill: adds a worker to a queue.';
