-- Sends the messages by which workers go on with runs of workflows, each with the run's newest number. A run whose
-- queue is gone fails with that as the reason.
-- Called by _park_runs, _wake_parents, signal_run and whatever resumes runs, with the runs locked. Locks: what an
-- insert into their queues takes. Errors: those of _send_tasks.
create or replace function postmill._send_wakes(run_ids bigint[], due_at timestamptz[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
#variable_conflict use_column
declare
    queues     text[];
    refused    text[];
    moments    timestamptz[];
    messages   jsonb[];
    priorities integer[];
begin
    select array_agg(v.queue_name order by r.run_id), array_agg(t.due_at order by r.run_id),
           array_agg(jsonb_build_object('run', r.run_id, 'wake', r.wake) order by r.run_id),
           array_agg(r.priority::integer order by r.run_id)
      into queues, moments, messages, priorities
      from unnest(run_ids, due_at) as t (run_id, due_at)
      join postmill.runs as r using (run_id)
      join postmill.flow_versions as v using (version_id);
    if queues is null then
        return;
    end if;
    refused := postmill._send_tasks(queues, moments, messages, priorities);
    if refused <> '{}' then
        perform postmill._fail_runs(
            array_agg((m.message ->> 'run')::bigint), array_agg(null::text),
            array_agg('there is no queue ' || quote_literal(m.queue)))
           from unnest(queues, messages) as m (queue, message) where m.queue = any (refused);
    end if;
end
$$;
