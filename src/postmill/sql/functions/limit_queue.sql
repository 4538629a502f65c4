-- Limits a queue over all its workers: how many messages run at once, and how many start in any window of `per`. Each
-- call says all of it: what is left out has no limit, and a call with the queue alone removes both. It holds for every
-- claim from then on; what runs is not interrupted, and counts. Other pgmq clients are not bound by it.
-- Messages that wait under a limit that is removed start in the order in which they wait.
-- Called by people and the command line. Locks: the queue's row in postmill.queues. Errors: PM001 no such queue, PM003
-- a limit that can't be kept, PM004 a pgmq older than 1.5: its tables can't say which messages wait for what.
create or replace function postmill.limit_queue(
    queue text, max_running integer default null, starts integer default null, per interval default null
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform postmill._named_table(queue);
    perform postmill._check_limits(max_running, starts, per);
    if not postmill._has_headers() then
        perform postmill._refuse_headers();
    end if;
    insert into postmill.queues as row (queue_name, owned, max_running, starts, per)
    values (queue, false, limit_queue.max_running, limit_queue.starts, limit_queue.per)
    on conflict (queue_name) do update
    set max_running = excluded.max_running, starts = excluded.starts, per = excluded.per;
    perform pg_notify(('postmill.' || queue)::name::text, 'limit');
end
$$;
