-- Sends what a schedule sends, for one tick, and writes the run down; null when the tick has a run already. `after`: a
-- message to wait for.
-- Called by run_schedule and fire_schedules, with the schedule's row locked. Locks: what the message needs, then the
-- run. Errors: those of send.
create or replace function postmill._fire(schedule_id bigint, tick timestamptz, visible_at timestamptz, after text)
returns bigint
language plpgsql volatile
set search_path = ''
as $$
#variable_conflict use_column
declare
    target  jsonb;
    its     jsonb := jsonb_build_object('postmill-run', jsonb_build_object(
        'schedule_id', _fire.schedule_id, 'tick_us', (extract(epoch from _fire.tick) * 1000000)::bigint));
    sent    bigint;
    existed boolean;
begin
    insert into postmill.schedule_runs (schedule_id, tick, status)
    values (_fire.schedule_id, _fire.tick, 'sent') on conflict do nothing;
    if not found then
        return null;
    end if;
    select s.target into target from postmill.schedules as s where s.schedule_id = _fire.schedule_id;
    its := coalesce(nullif(target -> 'headers', 'null'), '{}') || its;
    if target - array['queue', 'message', 'headers'] = '{}' and after is null then
        sent := postmill.send(
            queue => target ->> 'queue', message => target -> 'message', run_at => visible_at, headers => its);
    else
        select job.msg_id, job.existed into sent, existed
        from postmill.send_jobs(
            queue => target ->> 'queue', messages => array[target -> 'message'], run_at => visible_at,
            headers => array[its], unique_keys => nullif(array[target ->> 'unique_key'], array[null::text]),
            priorities => array[(target ->> 'priority')::integer], group_keys => array[target ->> 'group_key'],
            after => case when after is not null then array[jsonb_build_array(after)] end,
            on_source_dead => 'skip') as job;
    end if;
    update postmill.schedule_runs as run
       set queue_name = target ->> 'queue', msg_id = sent,
           status = case when existed then 'skipped' else 'sent' end,
           reason = case when existed then
               format('message %s of queue %s has the same key', sent, target ->> 'queue') end,
           ended_at = case when existed then clock_timestamp() end
     where run.schedule_id = _fire.schedule_id and run.tick = _fire.tick;
    return sent;
end
$$;
