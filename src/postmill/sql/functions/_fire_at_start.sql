-- Fires a schedule for the moment at which the service starts. An error is its run's, and keeps no other from firing.
-- Called by join_runners. Locks: what the message needs, then the run. Errors: none of its own.
create or replace function postmill._fire_at_start(schedule_id bigint) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    known postmill.schedules;
    last  record;
    tick  timestamptz := clock_timestamp();
begin
    select s.* into known from postmill.schedules as s where s.schedule_id = _fire_at_start.schedule_id;
    if known.run_as is not null then
        perform postmill._fire_command(known.schedule_id, tick);
        return;
    elsif known.target ? 'call' then
        perform postmill._fire_call(known.schedule_id, tick, tick);
        return;
    elsif known.target ? 'flow' then
        perform postmill._fire_flow(known.schedule_id, tick, tick);
        return;
    end if;
    last := postmill._unfinished_run(known.schedule_id);
    if last.msg_id is null or known.overlap <> 'skip' then
        perform postmill._fire(known.schedule_id, tick, tick,
                               case when known.overlap = 'queue' and last.msg_id is not null
                                    then last.queue_name || ':' || last.msg_id end);
    end if;
exception when others then
    insert into postmill.schedule_runs (schedule_id, tick, status, reason, ended_at)
    values (_fire_at_start.schedule_id, tick, 'failed', sqlerrm, clock_timestamp()) on conflict do nothing;
end
$$;
