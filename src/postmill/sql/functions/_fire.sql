-- Sends what a schedule sends, for one tick, and writes the run down; null when the tick has a run already. `after`: a
-- message to wait for.
-- Called by run_schedule, fire_schedules and _fire_at_start, with the schedule's row locked. Locks: what the message
-- needs, then the run. Errors: those of send.
create or replace function postmill._fire(schedule_id bigint, tick timestamptz, visible_at timestamptz, after text)
returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    target  jsonb;
    due_at  timestamptz;
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
    due_at := visible_at + coalesce((target ->> 'delay_s')::float8, 0) * interval '1 second';
    its := coalesce(target -> 'headers', '{}') || its;
    if target - array['queue', 'message', 'headers', 'delay_s'] = '{}' and after is null then
        sent := postmill.send(
            queue => target ->> 'queue', message => target -> 'message', run_at => due_at, headers => its);
    else
        select job.msg_id, job.existed into sent, existed
        from postmill.send_jobs(
            queue => target ->> 'queue', messages => array[target -> 'message'], run_at => due_at,
            headers => array[its], unique_keys => nullif(array[target ->> 'unique_key'], array[null::text]),
            unique_for => (target ->> 'unique_for_s')::float8 * interval '1 second',
            on_conflict => coalesce(target ->> 'on_conflict', 'skip'),
            priorities => array[(target ->> 'priority')::integer], group_keys => array[target ->> 'group_key'],
            after => case when after is not null then array[jsonb_build_array(after)] end,
            on_source_dead => 'skip', then_send => target -> 'then_send', else_send => target -> 'else_send') as job;
        existed := existed and target ->> 'on_conflict' is distinct from 'replace';  -- replaced: it is this tick's now
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
