-- Deletes workers that stopped or fell silent more than seven days ago, at most `page` of each, and the wish to be
-- woken of those that have been silent for a minute: one that lives after all says it again.
-- Called by prune. Locks: rows of workers, then idle_workers. Errors: none.
create or replace function postmill._prune_workers(page integer) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
    with gone as (
        delete from postmill.workers where worker_id = any (array(
            (select worker_id from postmill.workers
             where stopped_at < postmill.now() - interval '7 days' order by stopped_at limit page)
            union all
            (select worker_id from postmill.workers
             where stopped_at is null and last_heartbeat_at < postmill.now() - interval '7 days'
               and last_heartbeat_at < clock_timestamp() - interval '1 minute'  -- a shifted clock kills nobody
             order by last_heartbeat_at limit page)))
        returning worker_id
    ),
    unlisted as (
        delete from postmill.idle_workers as idle
        where not exists (
            select from postmill.workers as worker
            where worker.worker_id = idle.worker_id
              and worker.last_heartbeat_at > clock_timestamp() - interval '1 minute')
    )
    select count(*) from gone;
$$;
