-- What keeps all messages of a queue from starting, one row a cause: `paused`, `no_worker`, `draining` (its workers
-- stop, and take nothing more), `slots_taken`.
-- Called by _waits_for and why. Takes no locks. Errors: none.
create or replace function postmill._queue_held_up(queue text)
returns table (cause text, said text, detail jsonb)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select 'paused',
        'queue paused' || coalesce(' by ' || known.paused_by, '') || coalesce(': ' || known.pause_reason, ''),
        jsonb_build_object('since', known.paused_at, 'by', known.paused_by, 'reason', known.pause_reason)
    from postmill.queues as known
    where known.queue_name = lower(_queue_held_up.queue) and known.paused_at is not null
    union all
    select judged.cause, case judged.cause
            when 'no_worker' then 'no worker'
            when 'draining' then 'no worker: those of the queue stop, and take nothing more'
            else 'all slots of the workers are taken: ' || to_char(judged.slots, 'FM999,999,999') end,
        jsonb_build_object('workers', judged.alive, 'running', judged.running, 'slots', judged.slots)
    from (
        select *, case when alive = 0 then 'no_worker' when at_work = 0 then 'draining'
                       when running >= slots then 'slots_taken' end as cause
        from (
            select count(*) filter (where worker.deprecated_at is null) as at_work, count(*) as alive,
                coalesce(sum(worker.in_flight), 0) as running, coalesce(sum(worker.max_concurrent), 0) as slots
            from postmill.active_workers as worker where worker.queue_name = _queue_held_up.queue
        ) as counted
    ) as judged
    where judged.cause is not null;
$$;
