-- Nothing has to be processed here: workers take jobs by themselves. It lists messages of call queues as jobs that were
-- sent otherwise, and wakes a worker of each queue.
-- Called by applications, as with Supaqueue. Locks: new rows of listed_job in order of their ids. Errors: none.
create or replace function supaqueue.process_jobs() returns void
language plpgsql volatile
set search_path = ''
as $$
begin
    insert into supaqueue.listed_job (id, created_at)
    select supaqueue._job_id(queue.id, found.msg_id), min(found.at)
    from supaqueue._call_queue as queue
    cross join lateral (
        select gate.msg_id, clock_timestamp() as at
        from postmill.gates as gate where gate.queue_name = lower(queue.name)
        union all
        select blocked.msg_id, clock_timestamp()
        from postmill.blocked as blocked where blocked.queue_name = lower(queue.name)
        union all
        select result.msg_id, result.completed_at
        from postmill.results as result where result.queue_name = queue.name
        union all
        select letter.msg_id, letter.died_at from postmill.dead_letters as letter
        where letter.queue_name = queue.name and letter.died_at >= queue.created_at
    ) as found
    where not exists (select from postmill.dead_letters as letter
                      where letter.queue_name = queue.name and letter.replayed_at is not null
                        and letter.replayed_as = found.msg_id)
    group by queue.id, found.msg_id
    order by 1
    on conflict (id) do nothing;
    perform postmill._wake_one(queue.name) from supaqueue._call_queue as queue;
end
$$;
revoke execute on function supaqueue.process_jobs from public;
comment on function supaqueue.process_jobs is 'Facade supaqueue of Postmill: lists jobs, and wakes workers.';
