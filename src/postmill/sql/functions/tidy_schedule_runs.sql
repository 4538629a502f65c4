-- Writes down the end of runs whose message another client has taken out of its queue, whose call was deleted, or whose
-- run of a flow has ended or was deleted, and deletes runs that ended more than seven days ago, at most `max_rows` of
-- each. Returns how many rows were changed or deleted.
-- Called by: the scheduler now and then; anyone may. Locks: the runs' rows, skipping locked ones. Errors: none of its
-- own.
create or replace function postmill.tidy_schedule_runs(max_rows integer default 1000) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    of_queue record;
    changed  bigint;
    done     bigint := 0;
begin
    for of_queue in
        select sent.queue_name, array_agg(sent.msg_id) as ids
        from (select run.queue_name, run.msg_id from postmill.schedule_runs as run
              where run.status = 'sent' and run.msg_id is not null
                and run.fired_at < clock_timestamp() - interval '1 minute'
              order by run.fired_at limit max_rows for update skip locked) as sent
        group by sent.queue_name
    loop
        update postmill.schedule_runs as run
           set status = case ended.fate when 'completed' then 'succeeded' when 'dead' then 'failed'
                        when 'replayed' then 'sent' else ended.fate end,
               msg_id = coalesce(ended.moved_to, run.msg_id),
               ended_at = case when ended.fate <> 'replayed' then clock_timestamp() end,
               reason = 'another client has ended the message, or it went with its queue'
          from postmill._fates(lower(of_queue.queue_name), array(
                   select unnest(of_queue.ids)
                   except select unnest(postmill._queued(of_queue.queue_name, of_queue.ids)))) as ended
         where run.queue_name = of_queue.queue_name and run.msg_id = ended.msg_id and run.status = 'sent';
        get diagnostics changed = row_count;
        done := done + changed;
    end loop;
    with stale as materialized (
        select run.run_id, run.call_id,
               exists (select from postmill.call_responses as answer
                       where answer.call_id = run.call_id offset 0) as is_answered
          from postmill.schedule_runs as run
         where run.status = 'sent' and run.call_id is not null
           and run.fired_at < clock_timestamp() - interval '1 minute'
           and not exists (select from postmill.calls as asked where asked.call_id = run.call_id offset 0)
         order by run.fired_at limit max_rows for update of run skip locked
    ), deleted as (
        update postmill.schedule_runs as run
           set status = 'unknown', reason = 'the call was deleted', ended_at = clock_timestamp()
          from stale where run.run_id = stale.run_id and not stale.is_answered
        returning run.run_id
    )
    select (select count(*) from deleted)
           + postmill._end_call_runs(array(select stale.call_id from stale where stale.is_answered)) into changed;
    done := done + changed + postmill._end_flow_runs(array(
        select run.flow_run from postmill.schedule_runs as run
        where run.status = 'sent' and run.flow_run is not null
          and run.fired_at < clock_timestamp() - interval '1 minute'
        order by run.fired_at limit max_rows));
    delete from postmill.schedule_runs as run
    where (run.schedule_id, run.tick) in (
        select ended.schedule_id, ended.tick from postmill.schedule_runs as ended
        where ended.status <> 'sent' and ended.ended_at < postmill.now() - interval '7 days'
        order by ended.ended_at limit max_rows for update skip locked);
    get diagnostics changed = row_count;
    return done + changed;
end
$$;
