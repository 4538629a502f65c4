-- Writes down how runs of flows that schedules have started ended; of one that was deleted it is not known. Of runs
-- that go on nothing is written. A row that another session has locked is left to tidy_schedule_runs: it must keep no
-- run from ending. Returns how many were written.
-- SECURITY DEFINER: what fires schedules need not see runs. Called by _end_flow_run, _start_scheduled and
-- tidy_schedule_runs. Locks: the schedules' runs, skipping locked ones. Errors: none.
create or replace function postmill._end_flow_runs(run_ids bigint[]) returns bigint
language sql volatile security definer
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
    with ended as materialized (
        select run.run_id, flow.state, flow.culprit, flow.reason, flow.ended_at
          from postmill.schedule_runs as run
          left join postmill.runs as flow on flow.run_id = run.flow_run
         where run.flow_run = any (_end_flow_runs.run_ids) and (flow.run_id is null or flow.ended_at is not null)
           for no key update of run skip locked
    ), written as (
        update postmill.schedule_runs as run
           set status = case ended.state when 'completed' then 'succeeded' when 'failed' then 'failed'
                        when 'cancelled' then 'cancelled' else 'unknown' end,
               ended_at = coalesce(ended.ended_at, clock_timestamp()),
               reason = case when ended.state is null then 'the run was deleted'
                             when ended.state <> 'completed' then concat_ws(': ', ended.culprit, ended.reason) end
          from ended
         where run.run_id = ended.run_id
        returning run.run_id
    )
    select count(*) from written;
$$;
