-- Asks workers of older versions to drain: those on the queues of the workers `worker_ids`, which work by now; with
-- `here` only those on the same host. Which of two versions is the older one is decided by which was first on record
-- for the queue, and of two that came at one moment by the text. So two that start at once never ask each other, and
-- one that is started again asks none that came after it.
-- The table is locked first: a worker that is being announced is seen, or is on record later than this.
-- Called by the statement replace_workers, once, at a worker's start. Returns the versions of those that it has asked.
-- Lock order: the table workers (SHARE ROW EXCLUSIVE), then its rows. Errors: none.
create or replace function postmill._replace_workers(worker_ids uuid[], here boolean) returns setof text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    lock table postmill.workers in share row exclusive mode;
    return query
    with mine as (
        select distinct own.queue_name, own.version, own.hostname
          from postmill.workers as own where own.worker_id = any (worker_ids)
    ),
    came as (
        select known.queue_name, known.version, min(known.started_at) as at
          from postmill.workers as known where known.queue_name in (select mine.queue_name from mine)
         group by known.queue_name, known.version
    )
    update postmill.workers as worker set deprecated_at = clock_timestamp()
      from mine
      join came as mine_came on (mine_came.queue_name, mine_came.version) = (mine.queue_name, mine.version)
      join came as its on its.queue_name = mine.queue_name
     where worker.queue_name = its.queue_name and worker.version = its.version
       and worker.stopped_at is null and worker.deprecated_at is null
       and (its.at, its.version) < (mine_came.at, mine_came.version)
       and (not here or worker.hostname = mine.hostname)
    returning worker.version;
end
$$;
