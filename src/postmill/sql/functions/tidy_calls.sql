-- Ends calls that were started and not answered in time: the process that made them is gone. One that may be tried
-- again waits again; of any other the response says that the outcome is unknown. Deletes responses of more than six
-- hours (by postmill.now()). At most `max_rows` of each. Returns how many of each.
-- Called by: processes that make calls, when they see that it is due; anyone may. Locks: the calls' rows, then the
-- responses', skipping locked ones, then the runs of schedules. Errors: none of its own.
create or replace function postmill.tidy_calls(
    max_rows integer default 1000, out again bigint, out unknown bigint, out pruned bigint
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    with lost as materialized (
        select call_id from postmill.calls
        where started_at is not null and lost_at < statement_timestamp() and attempts < max_attempts
        order by lost_at limit max_rows for update skip locked)
    update postmill.calls as c
       set started_at = null, lost_at = null, due_at = clock_timestamp(),
           last_error = 'the outcome is unknown: the process that made the call is gone'
      from lost where c.call_id = lost.call_id;
    get diagnostics again = row_count;
    with lost as materialized (
        select call_id from postmill.calls
        where started_at is not null and lost_at < statement_timestamp() and attempts >= max_attempts
        order by lost_at limit max_rows for update skip locked
    ), over as (
        delete from postmill.calls as c using lost where c.call_id = lost.call_id
        returning c.call_id, c.method, c.function_name, c.url, c.attempts, c.created_by, c.run_id)
    insert into postmill.call_responses (call_id, method, function_name, url, error_msg, outcome_unknown, attempts,
                                         created_by, run_id)
    select over.call_id, over.method, over.function_name, over.url,
           'the outcome is unknown: the process that made the call is gone', true, over.attempts, over.created_by,
           over.run_id
    from over;
    get diagnostics unknown = row_count;
    with old as materialized (
        select call_id from postmill.call_responses
        where created_at < postmill.now() - interval '6 hours'
        order by created_at limit max_rows for update skip locked)
    delete from postmill.call_responses as r using old where r.call_id = old.call_id;
    get diagnostics pruned = row_count;
end
$$;
