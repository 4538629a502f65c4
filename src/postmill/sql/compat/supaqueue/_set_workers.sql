-- Sets which workers a queue has: its limit is how many, at once. Without any it is paused; one that somebody else has
-- paused stays so, and keeps its last worker.
-- Called by _add_worker and _remove_worker, which hold the queue's row in postmill.queues. Locks: worker_numbers.
-- Errors: those of limit_queue and pause; PM005 the queue is paused.
create or replace function supaqueue._set_workers(queue_name text, queue uuid, numbers integer[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    known postmill.queues;
begin
    select * into known from postmill.queues as row where row.queue_name = _set_workers.queue_name;
    if numbers = '{}' and known.paused_at is not null then
        raise exception 'queue % is paused, and its last worker stays until it is not', quote_literal(queue_name)
            using errcode = 'PM005', detail = format('Paused by %s: %s', known.paused_by, known.pause_reason),
                  hint = format('select postmill.resume(%L)', queue_name);
    elsif numbers = '{}' then
        perform postmill.pause(queue_name, supaqueue._no_workers());
    else
        perform postmill.limit_queue(queue_name, cardinality(numbers), known.starts, known.per);
        if known.pause_reason = supaqueue._no_workers() then
            perform postmill.resume(queue_name);
        end if;
    end if;
    insert into supaqueue.worker_numbers as row (queue, numbers) values (_set_workers.queue, _set_workers.numbers)
    on conflict on constraint worker_numbers_pkey do update set numbers = excluded.numbers;
end
$$;
revoke execute on function supaqueue._set_workers from public;
comment on function supaqueue._set_workers is 'Facade supaqueue of Postmill: sets which workers a queue has.';
