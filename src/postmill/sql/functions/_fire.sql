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
    target jsonb;
    sent   bigint;
begin
    insert into postmill.schedule_runs (schedule_id, tick, status)
    values (_fire.schedule_id, _fire.tick, 'sent') on conflict do nothing;
    if not found then
        return null;
    end if;
    select s.target into target from postmill.schedules as s where s.schedule_id = _fire.schedule_id;
    sent := postmill.send(
        queue => target ->> 'queue', message => target -> 'message', run_at => visible_at,
        headers => coalesce(nullif(target -> 'headers', 'null'), '{}')
                   || jsonb_build_object('postmill-run',
                                         jsonb_build_object('schedule_id', _fire.schedule_id, 'tick', _fire.tick)),
        unique_key => target ->> 'unique_key',
        priority => (target ->> 'priority')::integer, group_key => target ->> 'group_key',
        after => case when after is not null then array[after] end, on_source_dead => 'skip');
    update postmill.schedule_runs as run set queue_name = target ->> 'queue', msg_id = sent
    where run.schedule_id = _fire.schedule_id and run.tick = _fire.tick;
    return sent;
end
$$;
