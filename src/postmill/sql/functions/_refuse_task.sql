-- Refuses to take a task of a run out of its queue: the run could not go on. Called by cancel. Takes no locks.
-- Errors: PM005, when the message is such a task.
create or replace function postmill._refuse_task(queue text, msg_id bigint, message jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    run_id bigint := (postmill._runs_of_tasks(queue, array[message]))[1];
begin
    if run_id is not null then
        raise exception 'message % of queue % is a task of run %', msg_id, quote_literal(queue), run_id
            using errcode = 'PM005', detail = 'The run can''t go on without it.',
                  hint = format('Cancel the run: postmill run cancel %s', run_id);
    end if;
end
$$;
