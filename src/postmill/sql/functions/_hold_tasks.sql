-- Tasks that were claimed and can't run now, their messages deleted by token in the same statement: holds them until
-- the run is resumed (`paused`), or a program with the step says that it has it (`version`). They are held for the
-- queue where they belong: someone may have moved a message into another one, whose workers will never have the step.
-- A run that was resumed meanwhile has its task sent again at once; of one that has ended nothing is kept but what
-- undoes a step of a failed one. `msg_ids`: of the messages, in the queue `taken_from`. Returns how many are held.
-- Called by the statement step_hold. Lock order: queue rows (by the caller), runs by run_id, held_tasks, the queue.
-- Errors: PM005 the transaction's isolation; those of _send_tasks.
create or replace function postmill._hold_tasks(
    run_ids bigint[], steps text[], items integer[], messages jsonb[], whys text[], msg_ids bigint[], taken_from text
) returns integer
language plpgsql volatile
security definer
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
declare
    again      jsonb[];
    queues     text[];
    priorities integer[];
    groups     text[];
    held       integer;
begin
    perform postmill._check_isolation();
    perform from postmill.runs as run where run.run_id = any (run_ids) order by run.run_id for no key update;
    select array_agg(t.message), array_agg(postmill._queue_of_task(run.version_id, t.step)),
           array_agg(postmill._priority_of_task(run.version_id, t.step, run.priority)),
           array_agg(postmill._group_of_held(t.run_id, t.step, t.message))
      into again, queues, priorities, groups
      from unnest(run_ids, steps, messages, whys) as t (run_id, step, message, why)
--+ its_run
     where t.why = 'paused' and run.state in ('running', 'waiting', 'undoing');
    insert into postmill.held_tasks (run_id, step, item, queue_name, message, why, msg_id)
    select t.run_id, t.step, t.item, its.queue_name, t.message, t.why,
           case when its.queue_name = taken_from then t.msg_id end
      from unnest(run_ids, steps, items, messages, whys, msg_ids) as t (run_id, step, item, message, why, msg_id)
--+ its_run
     cross join lateral (select postmill._queue_of_task(run.version_id, t.step) as queue_name offset 0) as its
     where case when t.why = 'paused' then run.state = 'paused'
                else run.state in ('running', 'waiting', 'paused', 'undoing')
                     or run.state = 'failed' and t.message ? 'undo' end;
    get diagnostics held = row_count;
    if again is not null then
        perform postmill._send_tasks(
            queues, array_fill(clock_timestamp(), array[cardinality(again)]), again, priorities, groups);
    end if;
    return held;
end
$$;
