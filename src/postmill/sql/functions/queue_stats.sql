-- One row a queue (or `queue` only): how many messages are in which state, the age of the oldest that is ready (how
-- long ago it became visible), pause, living workers. `total` is what is in the queue's table: ready, running,
-- retrying, scheduled and waiting. `waiting`: those that wait for other messages or for a place in their group;
-- `oldest_waiting_age`: how long ago the first of them could have run, had it not to wait. `exact` is false where what
-- is in the table is estimated: a large queue is sampled. Dead letters are counted up to 10,000. With `exactly` every
-- message and letter is counted: about 0.1 s for a million. One queue is found by the index of pgmq.meta: with
-- thousands of them, to walk over them all for each takes longer than the look. Called by people, the command line and
-- dashboards. Takes no locks. Errors: PM001 no such queue.
create or replace function postmill.queue_stats(queue text default null, exactly boolean default false)
returns table (
    queue_name         text,
    ready              bigint,
    running            bigint,
    retrying           bigint,
    scheduled          bigint,
    dead               bigint,
    total              bigint,
    oldest_ready_age   interval,
    paused_at          timestamptz,
    pause_reason       text,
    workers            bigint,
    owned              boolean,
    exact              boolean,
    waiting            bigint,
    oldest_waiting_age interval
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    most_dead      bigint := case when exactly then null else 10000 end;
    oldest         timestamptz;
    oldest_waiting timestamptz;
begin
    if queue is not null then
        perform postmill._named_table(queue);
    end if;
    for queue_name in
        select known.name
        from (
            select meta.queue_name as name from pgmq.meta as meta where queue is null
            union all
            select meta.queue_name from pgmq.meta as meta where meta.queue_name = queue
        ) as known
        where to_regclass(format('pgmq.%I', lower('q_' || known.name))) is not null
        order by known.name
    loop
        select depth.ready, depth.running, depth.later_tried, depth.later_new, depth.waiting, depth.oldest,
            depth.oldest_waiting, depth.exact
        into ready, running, retrying, scheduled, waiting, oldest, oldest_waiting, exact
        from postmill._depth(queue_name, exactly) as depth;
        total := ready + running + retrying + scheduled + waiting;
        -- The oldest may be -infinity.
        oldest_ready_age := case when oldest is not null then clock_timestamp() - greatest(oldest, '2000-01-01') end;
        oldest_waiting_age := case
            when oldest_waiting is not null then clock_timestamp() - greatest(oldest_waiting, '2000-01-01') end;
        select count(*) into dead from (
            select from postmill.dead_letters as letter
            where letter.queue_name = queue_stats.queue_name and letter.replayed_at is null
            limit most_dead
        ) as letter;
        select count(*) into workers from postmill.active_workers as worker
        where worker.queue_name = queue_stats.queue_name;
        select row.paused_at, row.pause_reason, coalesce(row.owned, false) into paused_at, pause_reason, owned
        from (select) as always left join postmill.queues as row on row.queue_name = queue_stats.queue_name;
        return next;
    end loop;
end
$$;
