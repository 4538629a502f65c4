-- The failed attempts at tasks of a run that will be tried again, the newest first: of each of its queues those among
-- the last 1,000 failures of that queue.
-- Called by the statement read_run_failures. Takes no locks. Errors: none.
create or replace function postmill._run_attempts(run_id bigint) returns table (
    step text, item integer, attempt integer, reason text, failed_at timestamptz
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    its_queue text;
begin
    for its_queue in
        select distinct lower(coalesce(known.chosen ->> 'queue', version.queue_name))
        from postmill.runs as run
        join postmill.flow_versions as version using (version_id)
        left join postmill.flow_steps as known on known.version_id = run.version_id
        where run.run_id = _run_attempts.run_id and run.ended_at is null
    loop
        continue when not postmill._has_queue(its_queue);
        return query execute format(
            'select task.message ->> ''step'', (task.message ->> ''item'')::integer, failure.attempt,
                 concat_ws('': '', failure.error_type, failure.error_message), failure.failed_at
             from (select * from postmill.failures where queue_name = $1 order by failure_id desc limit 1000) as failure
             join %s as task using (msg_id)
             where task.message ->> ''run'' = $2::text and failure.kind <> ''lost_lease''
               and failure.failed_at >= task.enqueued_at
             order by failure.failure_id desc', postmill._queue_table(its_queue))
        using its_queue, run_id;
    end loop;
end
$$;
