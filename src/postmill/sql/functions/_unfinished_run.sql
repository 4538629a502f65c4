-- The last message that a schedule has sent, if it is not done: it is still in its queue's table. Nulls otherwise.
-- Called by fire_schedules. Takes no locks. Errors: none of its own.
create or replace function postmill._unfinished_run(schedule_id bigint, out queue_name text, out msg_id bigint)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    select run.queue_name, run.msg_id into queue_name, msg_id
    from postmill.schedule_runs as run
    where run.schedule_id = _unfinished_run.schedule_id and run.msg_id is not null
    order by run.tick desc limit 1;
    if postmill._queued(queue_name, array[msg_id]) = '{}' then
        queue_name := null;
        msg_id := null;
    end if;
end
$$;
