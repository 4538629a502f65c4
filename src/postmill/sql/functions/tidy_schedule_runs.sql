-- Writes down the end of runs whose message another client has taken out of its queue, and deletes runs that ended
-- more than seven days ago, at most `max_rows` of each. Returns how many rows were changed or deleted.
-- Called by: the scheduler now and then; anyone may. Locks: the runs' rows, skipping locked ones. Errors: none.
create or replace function postmill.tidy_schedule_runs(max_rows integer default 1000) returns bigint
language plpgsql volatile
set search_path = ''
as $$
declare
    open_run postmill.schedule_runs;
    is_there boolean;
    done     bigint := 0;
    gone     bigint;
begin
    for open_run in
        select run.* from postmill.schedule_runs as run
        where run.status = 'sent' and run.fired_at < clock_timestamp() - interval '1 minute'
        order by run.fired_at limit max_rows for update skip locked
    loop
        is_there := null;
        if to_regclass(format('pgmq.%I', lower('q_' || open_run.queue_name))) is not null then
            execute format('select true from pgmq.%I where msg_id = $1', lower('q_' || open_run.queue_name))
            into is_there using open_run.msg_id;
        end if;
        if is_there is null then
            update postmill.schedule_runs as run
               set status = 'unknown', ended_at = clock_timestamp(),
                   reason = 'the message was taken out of its queue by another client, or with the queue'
             where run.schedule_id = open_run.schedule_id and run.tick = open_run.tick and run.status = 'sent';
            done := done + 1;
        end if;
    end loop;
    delete from postmill.schedule_runs as run
    where (run.schedule_id, run.tick) in (
        select ended.schedule_id, ended.tick from postmill.schedule_runs as ended
        where ended.status <> 'sent' and ended.ended_at < postmill.now() - interval '7 days'
        order by ended.ended_at limit max_rows for update skip locked);
    get diagnostics gone = row_count;
    return done + gone;
end
$$;
