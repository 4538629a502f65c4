-- Writes down how the calls of schedules' runs ended, as their responses say: `succeeded` for 2xx only. A run that
-- another session has locked is left to tidy_schedule_runs: it must keep no answer from being stored.
-- Called by _end_call_run and tidy_schedule_runs. Locks: the runs' rows, skipping locked ones. Errors: none.
create or replace function postmill._end_call_runs(call_ids bigint[]) returns bigint
language sql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
    with answered as materialized (
        select run.run_id, answer.error_msg, 'HTTP ' || answer.status_code as said,
               case when answer.outcome_unknown then 'unknown'
                    when answer.error_msg is null and answer.status_code between 200 and 299 then 'succeeded'
                    else 'failed' end as status
          from postmill.call_responses as answer
          join postmill.schedule_runs as run on run.run_id = answer.run_id
         where answer.call_id = any (_end_call_runs.call_ids)
           for no key update of run skip locked
    ), ended as (
        update postmill.schedule_runs as run
           set status = answered.status, returned = answered.said, ended_at = clock_timestamp(),
               reason = case when answered.status <> 'succeeded' then coalesce(answered.error_msg, answered.said) end
          from answered
         where run.run_id = answered.run_id
        returning run.run_id
    )
    select count(*) from ended;
$$;
