-- Every call that waits, runs or has ended in the last six hours, for people and dashboards. Without headers and
-- bodies: they may hold keys. `state`: waiting, running, retrying, answered (see `status_code`, which may be that of an
-- error), failed (no answer, see `error`) or unknown.
create or replace view postmill.call_list as
select asked.call_id,
       case when asked.started_at is not null then 'running' when asked.attempts > 0 then 'retrying' else 'waiting' end
       as state,
       asked.method, asked.url, asked.host, null::integer as status_code, asked.attempts, asked.max_attempts,
       asked.last_error as error, asked.created_by, asked.created_at, asked.due_at, asked.started_at,
       null::timestamptz as ended_at, asked.function_name as function
  from postmill.calls as asked
union all
select answer.call_id,
       case when answer.outcome_unknown then 'unknown' when answer.error_msg is not null then 'failed'
            else 'answered' end,
       answer.method, answer.url, null, answer.status_code, answer.attempts, null, answer.error_msg,
       answer.created_by, null, null, null, answer.created_at, answer.function_name
  from postmill.call_responses as answer;
