-- Steps have ended whose runs had failed before: those that can be undone are, though their run has ended. Called by
-- _settle_steps and _fail_steps, with the runs' rows locked. Locks: none beyond the inserts'. Errors: those of
-- _send_tasks.
create or replace function postmill._undo_late(run_ids bigint[], steps text[]) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
begin
    perform postmill._send_tasks(
               array_agg(coalesce(step.chosen ->> 'queue', version.queue_name)), array_agg(clock_timestamp()),
               array_agg(jsonb_build_object('run', t.run_id, 'flow', run.flow, 'step', t.step, 'undo', true)),
               array_agg(run.priority::integer))
      from unnest(run_ids, steps) as t (run_id, step)
--+ its_run
--+ its_version
--+ its_step
     where run.state = 'failed' and step.compensates
    having count(*) > 0;
end
$$;
