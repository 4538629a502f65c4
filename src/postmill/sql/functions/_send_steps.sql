-- Sends tasks of steps of runs. A run whose queue takes none, because it is gone, fails, and says so.
-- Called by _start_steps, _fan_out and _send_next_items, with the runs' rows locked (of a map whose items are sent: the
-- step's). Locks and errors: as _send_tasks and _fail_runs.
create or replace function postmill._send_steps(
    run_ids bigint[], steps text[], queues text[], due_at timestamptz[], messages jsonb[], priorities integer[]
) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    refused constant text[] := postmill._send_tasks(queues, due_at, messages, priorities);
begin
    if refused <> '{}' then
        perform from postmill.runs as run
          where run.run_id = any (array(select t.run_id from unnest(run_ids, queues) as t (run_id, queue)
                                         where t.queue = any (refused)))
          order by run.run_id for no key update;
        perform postmill._fail_runs(array_agg(lost.run_id), array_agg(lost.step), array_agg(lost.reason))
           from (select distinct on (t.run_id) t.run_id, t.step,
                        format('there is no queue %s that takes its tasks', quote_literal(t.queue)) as reason
                   from unnest(run_ids, steps, queues) as t (run_id, step, queue)
                  where t.queue = any (refused)
                  order by t.run_id, t.step) as lost;
    end if;
end
$$;
