-- Moves jobs of a queue out of both tables into a queue of Postmill, the oldest first, and returns how many: up to
-- `batch` of each table. `target`: the queue of Postmill, where it has another name. The message is the job's payload;
-- what else the job says is in the header `supaworker`. A job that a worker has dequeued is left to that worker. The
-- delete and the send are one transaction: a job is in one place, whenever the caller dies.
-- Called by applications, schedules and Supaworker in Python, with its owner's rights: grant EXECUTE to who may move
-- jobs. Lock order: rows of public.supaworker_jobs, rows of supaworker.jobs; skips locked ones. Errors: PM001 no such
-- queue, PM003 an argument out of its range, PM004 pgmq older than 1.5; insufficient_privilege where row-level security
-- would hide jobs from the owner.
create or replace function supaworker.bridge(queue_name text, target text default null, batch integer default 1000)
returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set row_security = off
as $$
declare
    destination constant text := coalesce(target, queue_name);
    payloads    jsonb[];
    origins     jsonb[];
begin
    if queue_name is null then
        raise exception 'queue_name is null'
            using errcode = 'PM003', hint = 'Name the queue of the jobs: select supaworker.bridge(''emails'').';
    elsif batch is null or batch not between 1 and 10000 then
        raise exception 'batch is %', coalesce(batch::text, 'null')
            using errcode = 'PM003', hint = 'How many jobs to move at most: 1 to 10000.';
    end if;
    perform postmill._queue_table(destination);
    with first_picked as materialized (
        select job.id from public.supaworker_jobs as job
        where job.queue = queue_name and job.enabled
        order by job.created_at limit batch for update skip locked
    ), first_taken as (
        delete from public.supaworker_jobs as job using first_picked where job.id = first_picked.id
        returning job.created_at, job.payload, jsonb_build_object(
            'table', 'supaworker_jobs', 'id', job.id, 'queue', job.queue, 'attempts', job.attempts,
            'created_at', job.created_at, 'options', job.options) as origin
    ), picked as materialized (
        select job.id from supaworker.jobs as job
        where job.queue = queue_name and job.status in ('PENDING', 'RETRY')
          and (job.claimed_at is null or job.updated_at + job.lease < clock_timestamp())
        order by job.created_at limit batch for update skip locked
    ), taken as (
        delete from supaworker.jobs as job using picked where job.id = picked.id
        returning job.created_at, job.payload, jsonb_build_object(
            'table', 'jobs', 'id', job.id, 'queue', job.queue, 'attempts', job.attempts,
            'created_at', job.created_at) as origin
    )
    select array_agg(coalesce(moved.payload, 'null') order by moved.created_at),
           array_agg(jsonb_build_object('supaworker', moved.origin) order by moved.created_at)
    into payloads, origins
    from (select * from first_taken union all select * from taken) as moved;
    perform postmill.send_batch(destination, coalesce(payloads, '{}'), headers => origins);
    return coalesce(cardinality(payloads), 0);
end
$$;
revoke execute on function supaworker.bridge from public;
comment on function supaworker.bridge is 'Facade supaworker of Postmill: moves jobs into a queue of Postmill.';
