-- Fires ticks of schedules whose rows the caller has locked, and moves each schedule on to its next tick. Arrays of the
-- same length: a schedule, its tick (null: none fires, it only moves on), when the message becomes visible, and the
-- schedule's next tick; several ticks of one schedule stand in order. `problems`: why a schedule can't be read.
-- What asks for nothing special is sent by _fire_together, everything else one by one.
-- One schedule that can't send or call (its queue is gone, a right is missing) is written down as its problem or its
-- run's reason and keeps no other from firing. One whose send fails for what passes by itself, such as a lock on its
-- queue, is left as it is: its tick fires at the next look. Returns one row a run.
-- Called by: the scheduler. Lock order: as send, call and start_flow, then schedule_runs, schedules. Errors: none of
-- its own.
create or replace function postmill.fire_schedules(
    schedule_ids bigint[], ticks timestamptz[], visible_at timestamptz[], next_at timestamptz[], problems text[]
) returns table (name text, tick timestamptz, msg_id bigint, call_id bigint, status text, reason text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    due     record;
    last    record;
    put_off bigint[] := '{}';
begin
    for due in
        select fired.*, s.name, s.overlap, s.run_as, s.target ? 'call' as is_call, s.target ? 'flow' as is_flow,
               together.msg_id
        from unnest(schedule_ids, ticks, visible_at, next_at, problems) with ordinality
            as fired (schedule_id, tick, visible_at, next_at, problem, place)
        join postmill.schedules as s using (schedule_id)
        left join postmill._fire_together(
            schedule_ids, ticks, fire_schedules.visible_at) as together using (schedule_id)
        order by fired.place
    loop
        continue when due.schedule_id = any (put_off);
        name := due.name; tick := due.tick; msg_id := null; call_id := null; status := null;
        reason := due.problem;
        if due.msg_id is not null then
            msg_id := due.msg_id; status := 'sent';
        elsif due.tick is not null then
            last := postmill._unfinished_run(due.schedule_id);
            begin
                if due.run_as is not null then
                    select fired.status, fired.reason into status, reason
                    from postmill._fire_command(due.schedule_id, due.tick) as fired;
                elsif due.is_call then
                    select fired.call_id, fired.status, fired.reason into call_id, status, reason
                    from postmill._fire_call(due.schedule_id, due.tick, due.visible_at) as fired;
                elsif due.is_flow then
                    select fired.status, fired.reason into status, reason
                    from postmill._fire_flow(due.schedule_id, due.tick, due.visible_at) as fired;
                elsif due.overlap = 'skip' and last.msg_id is not null then
                    status := 'skipped';
                    reason := format('message %s of queue %s, sent for the tick before, is not done',
                                     last.msg_id, last.queue_name);
                    insert into postmill.schedule_runs (schedule_id, tick, status, reason, ended_at)
                    values (due.schedule_id, due.tick, status, reason, clock_timestamp()) on conflict do nothing;
                    if not found then  -- it has fired, and a later tick was put off
                        status := null; reason := null;
                    end if;
                else
                    msg_id := postmill._fire(
                        due.schedule_id, due.tick, due.visible_at,
                        case when due.overlap = 'queue' and last.msg_id is not null
                             then last.queue_name || ':' || last.msg_id end);
                    if msg_id is not null then
                        select run.status, run.reason into status, reason from postmill.schedule_runs as run
                        where run.schedule_id = due.schedule_id and run.tick = due.tick;
                    end if;
                end if;
            exception when others then
                if postmill._passes(sqlstate) then
                    put_off := put_off || due.schedule_id;
                    continue;
                end if;
                status := 'failed';
                reason := sqlerrm;
                insert into postmill.schedule_runs (schedule_id, tick, status, reason, ended_at)
                values (due.schedule_id, due.tick, status, reason, clock_timestamp()) on conflict do nothing;
            end;
        end if;
        if status is not null or reason is not null then
            return next;
        end if;
    end loop;
    -- At the end: one whose later tick was put off has not moved on, and its earlier ticks have their runs.
    update postmill.schedules as s set next_at = fired.next_at, problem = fired.problem
    from (select distinct on (each.schedule_id) each.*
          from unnest(schedule_ids, fire_schedules.next_at, problems) with ordinality
              as each (schedule_id, next_at, problem, place)
          order by each.schedule_id, each.place desc) as fired
    where s.schedule_id = fired.schedule_id and s.schedule_id <> all (put_off);
end
$$;
