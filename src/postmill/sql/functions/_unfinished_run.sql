-- The last message that a schedule has sent, if it is not done: it is still in its queue's table. Nulls otherwise.
-- Called by fire_schedules. Takes no locks. Errors: none: a queue that is gone has nothing unfinished.
create or replace function postmill._unfinished_run(schedule_id bigint, out queue_name text, out msg_id bigint)
language plpgsql stable
set search_path = ''
as $$
declare
    is_there boolean;
begin
    select run.queue_name, run.msg_id into queue_name, msg_id
    from postmill.schedule_runs as run
    where run.schedule_id = _unfinished_run.schedule_id and run.msg_id is not null
    order by run.tick desc limit 1;
    if to_regclass(format('pgmq.%I', lower('q_' || coalesce(queue_name, '')))) is not null then
        execute format('select true from pgmq.%I where msg_id = $1', lower('q_' || queue_name))
        into is_there using msg_id;
    end if;
    if is_there is null then
        queue_name := null;
        msg_id := null;
    end if;
end
$$;
