-- Which worker runs a message, and whether that worker is still heard of; no row when no claim of ours holds it.
-- Called by _causes. Takes no locks. Errors: none.
create or replace function postmill._held_by(queue text, msg_id bigint, read_ct integer, vt timestamptz)
returns table (cause text, said text, until timestamptz, detail jsonb)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select case when living.worker_id is not null then 'running' else 'worker_silent' end,
        case when living.worker_id is not null then
                 'it runs since ' || postmill._moment(held.claimed_at) || ' on ' || named.worker
             when worker.worker_id is null then 'it is held by a worker that is not on record any more'
             when worker.stopped_at is not null then
                 'it is held by ' || named.worker || ', which stopped at ' || postmill._moment(worker.stopped_at)
             else 'it is held by ' || named.worker || ', which is silent since '
                 || postmill._moment(worker.last_heartbeat_at)
        end,
        case when living.worker_id is null then least(
            _held_by.vt, case when worker.stopped_at is null
                              then worker.last_heartbeat_at + postmill._silent_after(worker.lease) end) end,
        jsonb_build_object(
            'worker_id', held.worker_id, 'worker', worker.function_name, 'host', worker.hostname, 'pid', worker.pid,
            'since', held.claimed_at, 'heard', worker.last_heartbeat_at, 'stopped_at', worker.stopped_at,
            'lease_until', _held_by.vt)
    from (
        select claim.worker_id, claim.claimed_at
        from postmill._claimed(_held_by.queue) as claimed
        join postmill.claims as claim
            on claim.worker_id = claimed.worker_id and claim.queue_name = _held_by.queue
           and _held_by.msg_id = any (claim.msg_ids)
        where claimed.msg_id = _held_by.msg_id and claimed.read_ct = _held_by.read_ct
        order by claim.claim_id desc limit 1
    ) as held
    left join postmill.workers as worker on worker.worker_id = held.worker_id
    left join postmill.active_workers as living on living.worker_id = held.worker_id
    cross join lateral (
        select 'worker ' || worker.function_name || ' at ' || worker.hostname || ' (process ' || worker.pid || ')'
    ) as named (worker);
$$;
