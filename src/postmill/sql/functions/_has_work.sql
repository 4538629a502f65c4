-- Whether a worker could run a message of a queue now: one is ready, or one waits for a place in its group and could
-- have run by now. Of those that wait the first 1,000 are looked at. A paused queue has no work.
-- Called by the statement work_left. Takes no locks. Errors: PM001 no such queue.
create or replace function postmill._has_work(queue text) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from postmill.queues as row where row.queue_name = queue and row.paused_at is not null) then
        return false;
    end if;
    return postmill._due_within(queue, postmill._queue_table(queue), interval '0');
end
$$;
