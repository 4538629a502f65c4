-- One row a queue (or `queue` only): how many messages are in which state, the age of the oldest that is ready (how long ago
-- it became visible), pause, living workers. `total` is what is in the queue's table: ready, running, retrying and scheduled.
-- Called by people, the command line and dashboards. Counts the whole queue: about 0.1 s for a million messages.
-- Takes no locks. Errors: PM001 no such queue.
create or replace function postmill.queue_stats(queue text default null)
returns table (
    queue_name       text,
    ready            bigint,
    running          bigint,
    retrying         bigint,
    scheduled        bigint,
    dead             bigint,
    total            bigint,
    oldest_ready_age interval,
    paused_at        timestamptz,
    pause_reason     text,
    workers          bigint,
    owned            boolean
)
language plpgsql stable
set search_path = ''
as $$
begin
    if queue is not null then
        perform postmill._queue_table(queue);
    end if;
    for queue_name in
        select meta.queue_name from pgmq.meta as meta
        where (queue is null or meta.queue_name = queue)
          and to_regclass(format('pgmq.%I', lower('q_' || meta.queue_name))) is not null
        order by meta.queue_name
    loop
        execute format(
            'select count(*) filter (where state = ''ready''), count(*) filter (where state = ''running''),
                 count(*) filter (where state = ''retrying''), count(*) filter (where state = ''scheduled''), count(*),
                 clock_timestamp() - min(vt) filter (where state = ''ready'')
             from (
                 select queued.vt, postmill._state(queued.read_ct, queued.vt, receipt.worker_id) as state
                 from %s as queued
                 left join postmill._receipts($1) as receipt using (msg_id, read_ct)
             ) as queued',
            postmill._queue_table(queue_name))
        into ready, running, retrying, scheduled, total, oldest_ready_age using queue_name;
        select count(*) into dead from postmill.dead_letters as letter
        where letter.queue_name = queue_stats.queue_name and letter.replayed_at is null;
        select count(*) into workers from postmill.active_workers as worker
        where worker.queue_name = queue_stats.queue_name;
        select row.paused_at, row.pause_reason, coalesce(row.owned, false) into paused_at, pause_reason, owned
        from (select) as always left join postmill.queues as row on row.queue_name = queue_stats.queue_name;
        return next;
    end loop;
end
$$;
