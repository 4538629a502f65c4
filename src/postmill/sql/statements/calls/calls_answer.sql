-- Writes down how attempts at calls ended, arrays of the same length: ids, attempts, status codes, content types,
-- headers, contents, whether they timed out, errors, whether the outcome is unknown, and seconds until the next attempt
-- (null: there is none, and the call is over). An attempt that is not the call's last one any more changes nothing,
-- unless the call was given up as unknown: then the true answer takes its place. Called by: calls, again after an
-- outage. Locks: the calls' rows, then the responses', then the runs of schedules.
with answered as (
    select * from unnest($1::bigint[], $2::integer[], $3::integer[], $4::text[], $5::jsonb[], $6::text[], $7::boolean[],
                         $8::text[], $9::boolean[], $10::double precision[])
        as a (call_id, attempt, status_code, content_type, headers, content, timed_out, error_msg, is_unknown, again_s)
), again as (
    update postmill.calls as c
       set started_at = null, lost_at = null, last_error = coalesce(a.error_msg, 'HTTP ' || a.status_code),
           due_at = clock_timestamp() + a.again_s * interval '1 second'
      from answered as a
     where c.call_id = a.call_id and c.attempts = a.attempt and c.started_at is not null and a.again_s is not null
), over as (
    delete from postmill.calls as c using answered as a
     where c.call_id = a.call_id and c.attempts = a.attempt and c.started_at is not null and a.again_s is null
    returning c.call_id, c.method, c.function_name, c.url, c.created_by, c.run_id
), known as (
    update postmill.call_responses as r
       set status_code = a.status_code, content_type = a.content_type, headers = a.headers, content = a.content,
           timed_out = a.timed_out, error_msg = a.error_msg, outcome_unknown = false
      from answered as a
     where r.call_id = a.call_id and r.attempts = a.attempt and r.outcome_unknown and not a.is_unknown
)
insert into postmill.call_responses (call_id, method, function_name, url, status_code, content_type, headers, content,
                                     timed_out, error_msg, outcome_unknown, attempts, created_by, run_id)
select over.call_id, over.method, over.function_name, over.url, a.status_code, a.content_type, a.headers, a.content,
       a.timed_out, a.error_msg, a.is_unknown, a.attempt, over.created_by, over.run_id
  from over join answered as a using (call_id)
    on conflict (call_id) do nothing
