-- Why tasks of a queue are not taken, in words; null: they are. Called by _blocked and _blocked_steps. Takes no locks.
-- Errors: none.
create or replace function postmill._unserved(queue text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select case when not postmill._has_queue(queue) then format('queue %s is gone', queue)
                when exists (select from postmill.queues as known
                             where known.queue_name = queue and known.paused_at is not null)
                then format('queue %s is paused', queue)
                when not exists (select from postmill.active_workers as worker where worker.queue_name = queue)
                then format('no worker for queue %s', queue) end;
$$;
