-- Ends runs of workflows whose functions have returned, or have failed for good; their messages are gone by their
-- tokens. `states`: completed, failed or cancelled. A run that has ended already, or was woken since, stays as it is.
-- `failures_caught`: of those that have failed, the steps whose failures the function has caught, as JSON; null: not
-- known.
-- A run that was started by another run's step sends that one a message: the two are never locked together.
-- Called by the statement run_end. Lock order: runs by run_id, then queues. Errors: PM005 (see
-- _check_isolation).
create or replace function postmill._end_runs_of_workflows(
    run_ids bigint[], wakes integer[], states text[], outputs text[], reasons text[], culprits text[],
    failures_caught text[] default null
) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
#variable_conflict use_column
declare
    children bigint[];
begin
    perform postmill._check_isolation();
    perform postmill._tell_watchers(run_ids);
    perform from postmill.runs as r where r.run_id = any (run_ids) order by r.run_id for no key update;
    -- What was undone is done again when such a run is retried, and so is what came after it: all begins anew.
    update postmill.steps as s set undone_at = clock_timestamp()
      from postmill.runs as r join unnest(run_ids, wakes) as t (run_id, wake) on t.run_id = r.run_id and t.wake = r.wake
     where s.run_id = r.run_id and r.state = 'undoing';
    with ended as (
        update postmill.runs as r
           set state = t.state, output = t.output::jsonb, reason = t.reason, culprit = t.culprit, waits_for = null,
               caught = case when t.caught is not null
                             then array(select jsonb_array_elements_text(t.caught::jsonb)) end,
               due_at = null, ended_at = clock_timestamp(), changed = pg_current_xact_id()
          from unnest(run_ids, wakes, states, outputs, reasons, culprits, failures_caught)
            as t (run_id, wake, state, output, reason, culprit, caught)
         where r.run_id = t.run_id and r.wake = t.wake and r.ended_at is null and r.state in ('running', 'undoing')
        returning r.run_id, r.parent_step
    )
    select array_agg(run_id) into children from ended where parent_step is not null;
    if children is not null then
        perform postmill._tell_parents(children);
    end if;
end
$$;
