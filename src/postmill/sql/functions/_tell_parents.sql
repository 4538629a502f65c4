-- Tells the runs that wait for these ones, which have ended: each is sent a message to the step that has started it,
-- {"run", "flow", "step", "child"}. A parent's queue that is gone loses it; the audit of flows finds such a step.
-- Called by whatever ends runs, with their rows locked. Lock order: none beyond the inserts'; a parent's row is never
-- locked. Errors: those of _send_tasks.
create or replace function postmill._tell_parents(run_ids bigint[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
begin
    perform postmill._send_tasks(
               array_agg(coalesce(step.chosen ->> 'queue', version.queue_name) order by child.run_id),
               array_agg(clock_timestamp()),
               array_agg(jsonb_build_object('run', parent.run_id, 'flow', parent.flow, 'step', child.parent_step,
                                            'child', child.run_id)
                         order by child.run_id),
               array_agg(parent.priority::integer order by child.run_id))
      from postmill.runs as child
      join postmill.runs as parent on parent.run_id = child.parent_run
      join postmill.flow_versions as version on version.version_id = parent.version_id
      left join postmill.flow_steps as step
        on step.version_id = parent.version_id and step.step = child.parent_step
     where child.run_id = any (run_ids)
    having count(*) > 0;
end
$$;
