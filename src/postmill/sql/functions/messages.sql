-- Every message of a queue, whatever table it is in: the queue itself, its archive, the dead letters, the
-- cancellations, or only a kept result. Newest first, at most `max_rows`; `only_state` (scheduled, ready, running,
-- retrying, waiting, completed, dead, cancelled), `only_id` and `before_id` (for the next page) narrow it. `attempts`
-- counts the running or finished one; `finished_at` is when it was completed, died or was cancelled. `waits_for` says
-- in words why a message does not run yet; null where nothing is known to be in its way. Letters that were replayed
-- live on as new messages and are left out.
-- Called by people, the command line and dashboards. Takes no locks. Errors: PM001 no such queue, PM003 no such state.
create or replace function postmill.messages(
    queue      text,
    only_state text default null,
    max_rows   integer default 100,
    only_id    bigint default null,
    before_id  bigint default null
) returns table (
    msg_id      bigint,
    state       text,
    attempts    integer,
    read_ct     integer,
    enqueued_at timestamptz,
    vt          timestamptz,
    worker_id   uuid,
    last_error  text,
    result      jsonb,
    message     jsonb,
    headers     jsonb,
    finished_at timestamptz,
    waits_for   text
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
#variable_conflict use_column
begin
    perform postmill._named_table(queue);
    perform postmill._check_state(only_state);
    -- One page of each source is enough for one page of all.
    return query
    with archived as (
        select * from postmill._in_archive(queue, max_rows, only_id, before_id)
        where only_state is null or only_state = 'completed'
    ), kept as (
        select * from postmill.results as result
        where result.queue_name = queue and (only_state is null or only_state = 'completed')
          and (only_id is null or result.msg_id = only_id) and (before_id is null or result.msg_id < before_id)
        order by result.msg_id desc limit max_rows
    ), died as (
        select * from postmill.dead_letters as letter
        where letter.queue_name = queue and letter.replayed_at is null and (only_state is null or only_state = 'dead')
          and (only_id is null or letter.msg_id = only_id) and (before_id is null or letter.msg_id < before_id)
        order by letter.msg_id desc limit max_rows
    ), cancelled as (
        select * from postmill.cancellations as cancellation
        where cancellation.queue_name = queue and cancellation.cancelled_at is not null
          and (only_state is null or only_state = 'cancelled')
          and (only_id is null or cancellation.msg_id = only_id)
          and (before_id is null or cancellation.msg_id < before_id)
        order by cancellation.msg_id desc limit max_rows
    ), found (msg_id, state, read_ct, enqueued_at, vt, worker_id, message, headers, finished_at, attempts, reason) as (
        select *, null::timestamptz, null::integer, null::text
        from postmill._in_queue(queue, only_state, max_rows, only_id, before_id)
        where only_state is null or only_state not in ('completed', 'dead', 'cancelled')
        union all
        select msg_id, 'completed', read_ct, enqueued_at, null, null, message, headers, finished_at, null, null
        from archived
        union all
        select msg_id, 'completed', null, null, null, null, null, null, completed_at, null, null
        from kept where msg_id not in (select msg_id from archived)
        union all
        select msg_id, 'dead', read_ct, enqueued_at, null, null, message, headers, died_at, attempts, reason
        from died
        union all
        select msg_id, 'cancelled', null, enqueued_at, null, null, message, headers, cancelled_at, null, null
        from cancelled
        order by 1 desc limit max_rows
    )
    select found.msg_id, found.state,
        coalesce(found.attempts, tried.times + (found.state in ('running', 'completed'))::integer),
        found.read_ct, found.enqueued_at, found.vt, found.worker_id,
        coalesce(found.reason, tried.last_error), result.result,
        postmill._shown(found.message), postmill._shown(found.headers), found.finished_at, cause.waits_for
    from found
    left join postmill.results as result
        on result.queue_name = queue and result.msg_id = found.msg_id and found.state = 'completed'
    left join postmill._waits_for(queue, (
        select array_agg(found.msg_id) from found where found.state in ('scheduled', 'ready', 'retrying', 'waiting')
    )) as cause on cause.msg_id = found.msg_id and found.finished_at is null
    cross join lateral postmill._tried(queue, found.msg_id, found.enqueued_at) as tried
    order by found.msg_id desc;
end
$$;
