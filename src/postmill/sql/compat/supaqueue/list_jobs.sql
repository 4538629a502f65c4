-- Lists messages of call queues as jobs that were sent otherwise, or before the facade was installed; returns how many.
-- A message that a letter was replayed as is the letter's job.
-- Called by people. It reads all messages. Locks: new rows of listed_job in order of their ids. Errors: none.
create or replace function supaqueue.list_jobs() returns bigint
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    with listed as (
        insert into supaqueue.listed_job (id, created_at)
        select supaqueue._job_id(queue.id, found.msg_id), min(found.since)
        from supaqueue._call_queue as queue
        cross join lateral (
            select queued.msg_id, queued.enqueued_at as since
            from postmill._in_queue(queue.name, null, null, null, null) as queued
            union all
            select done.msg_id, done.enqueued_at from postmill._in_archive(queue.name, null, null, null) as done
            union all
            select result.msg_id, result.completed_at from postmill.results as result
            where result.queue_name = queue.name
            union all
            select letter.msg_id, letter.enqueued_at from postmill.dead_letters as letter
            where letter.queue_name = queue.name and letter.enqueued_at >= queue.created_at
        ) as found
        where not exists (
            select from postmill.dead_letters as letter
            where letter.queue_name = queue.name and letter.replayed_at is not null
              and letter.replayed_as = found.msg_id)
        group by queue.id, found.msg_id
        order by 1
        on conflict (id) do nothing
        returning id
    )
    select count(*) from listed;
$$;
revoke execute on function supaqueue.list_jobs from public;
comment on function supaqueue.list_jobs is 'Facade supaqueue of Postmill: lists messages as jobs.';
