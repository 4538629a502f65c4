-- Workers that are alive, or with $1 all of them, the latest first, at most $2, behind worker $4, started at $3.
-- Called by the command line and the API. Takes no locks. Errors: none.
select
    function_name as worker, queue_name as queue,
    case when deprecated_at is not null and state = 'active' then 'draining' else state end as state,
    in_flight, max_concurrent, hostname as host, pid,
    round(extract(epoch from clock_timestamp() - last_heartbeat_at)::numeric, 1)::float8 as heartbeat_age_s,
    started_at, stopped_at, stop_reason, version, worker_id
from (
    select active.*, 'active' as state from postmill.active_workers as active
    union all
    select inactive.*, case when stopped_at is null then 'silent' else 'stopped' end
    from postmill.inactive_workers as inactive where $1::boolean
) as worker
where $3::timestamptz is null or (started_at, worker_id) < ($3::timestamptz, $4::uuid)
order by started_at desc, worker_id desc
limit $2::integer
