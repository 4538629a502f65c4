-- Fires ticks whose messages ask for nothing special, those of one queue and one moment in one statement, and returns
-- what was sent. Left out, for fire_schedules to look at one by one: a schedule with several ticks, with options, or
-- whose last message may not be done; a tick that has a run; and all of a queue that can't be sent to.
-- Called by fire_schedules, with the schedules' rows locked. Lock order: as send, then schedule_runs. Errors: none.
create or replace function postmill._fire_together(schedule_ids bigint[], ticks timestamptz[], visible_at timestamptz[])
returns table (schedule_id bigint, msg_id bigint)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    due  record;
    sent bigint[];
begin
    for due in
        select s.target ->> 'queue' as queue, fired.visible_at, array_agg(s.schedule_id) as ids,
               array_agg(fired.tick) as ticks, array_agg(s.target -> 'message') as messages,
               array_agg(coalesce(s.target -> 'headers', '{}') || jsonb_build_object(
                   'postmill-run', jsonb_build_object(
                       'schedule_id', s.schedule_id,
                       'tick_us', (extract(epoch from fired.tick) * 1000000)::bigint))) as headers
        from (select each.*, count(*) over (partition by each.schedule_id) as many
              from unnest(schedule_ids, ticks, visible_at) as each (schedule_id, tick, visible_at)) as fired
        join postmill.schedules as s using (schedule_id)
        left join lateral (
            select run.status from postmill.schedule_runs as run
            where run.schedule_id = s.schedule_id and run.msg_id is not null order by run.tick desc limit 1
        ) as last on true
        where fired.many = 1 and fired.tick is not null
          and s.target - array['queue', 'message', 'headers'] = '{}'
          and jsonb_typeof(coalesce(s.target -> 'headers', '{}')) = 'object'
          and (s.overlap = 'allow' or coalesce(last.status, 'none') not in ('sent', 'skipped'))
          and not exists (select from postmill.schedule_runs as run
                          where run.schedule_id = s.schedule_id and run.tick = fired.tick)
        group by 1, 2
        having count(*) > 1
    loop
        begin
            sent := array(select postmill.send_batch(
                due.queue, due.messages, run_at => due.visible_at, headers => due.headers));
            insert into postmill.schedule_runs (schedule_id, tick, queue_name, msg_id, status)
            select fired.schedule_id, fired.tick, due.queue, fired.msg_id, 'sent'
            from unnest(due.ids, due.ticks, sent) as fired (schedule_id, tick, msg_id);
            return query select fired.* from unnest(due.ids, sent) as fired;
        exception when others then
            null;  -- one by one, each is told what is wrong with it
        end;
    end loop;
end
$$;
