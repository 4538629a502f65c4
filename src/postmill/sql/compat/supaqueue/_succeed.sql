-- Completes a job that runs: its message goes to the archive, and to those that wait for it. What its call answers
-- later changes nothing.
-- Called by _end_current_job. Lock order: the message's row, results, gates, claims, then as _ended. Errors: those of
-- the queue's tables.
create or replace function supaqueue._succeed(queue_name text, msg_id bigint, claim_id bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
declare
    headers jsonb;
begin
    execute format('select headers from %s where msg_id = $1', postmill._queue_table(queue_name))
    into headers using msg_id;
    perform pgmq.archive(queue_name, msg_id);
    insert into postmill.results as kept (queue_name, msg_id, result)
    values (_succeed.queue_name, _succeed.msg_id, '{"ended_by": "end_current_job"}')
    on conflict on constraint results_pkey
        do update set result = excluded.result, completed_at = excluded.completed_at;
    perform supaqueue._leave_claim(claim_id, msg_id);
    delete from postmill.gates as gate
    where gate.queue_name = lower(_succeed.queue_name) and gate.msg_id = _succeed.msg_id;
    perform postmill._ended(queue_name, array[msg_id], array[headers], 'completed');
    perform postmill._tell_waiters(queue_name, array[msg_id]);
end
$$;
revoke execute on function supaqueue._succeed from public;
comment on function supaqueue._succeed is 'Facade supaqueue of Postmill: completes a job that runs.';
