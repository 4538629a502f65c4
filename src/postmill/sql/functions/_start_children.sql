-- Starts the runs of other flows that steps stand for; the tasks that ask for it were deleted by token in the same
-- statement. A step has one child: a task that was doubled starts no other. A child that can't be started (there is no
-- such flow) fails its step. Returns how many were started.
-- Called by the statement step_start_child. Lock order: queue rows (by the caller), the parents' rows by run_id; then
-- as _start_run, of new runs only, and as _advance. Errors: PM005 the transaction's isolation.
create or replace function postmill._start_children(run_ids bigint[], steps text[], flows text[], inputs text[])
returns integer
language plpgsql volatile
security definer
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
declare
    due     record;
    started integer := 0;
    lost    bigint[] := '{}';
    of_lost text[] := '{}';
    why     text[] := '{}';
begin
    perform postmill._check_isolation();
    perform from postmill.runs as run where run.run_id = any (run_ids) order by run.run_id for no key update;
    for due in
        select distinct on (t.run_id, t.step) t.*, run.priority, known.version_id
          from unnest(run_ids, steps, flows, inputs) as t (run_id, step, flow, input)
--+ its_run
--+ its_step
--+ its_row
          left join lateral (select v.version_id from postmill.flow_versions as v where v.flow = t.flow
                              order by v.registered_at desc, v.version desc limit 1) as known on true
         where run.state in ('running', 'paused') and step.kind = 'run' and s.state = 'started'
           and not exists (select from postmill.runs as child
                            where child.parent_run = t.run_id and child.parent_step = t.step)
         order by t.run_id, t.step
    loop
        if due.version_id is null then
            lost := lost || due.run_id;
            of_lost := of_lost || due.step;
            why := why || format('there is no flow %s', quote_literal(due.flow));
        else
            perform postmill._start_run(due.version_id, coalesce(due.input, 'null')::jsonb, null, null, null, null,
                                        due.priority, due.run_id, due.step);
            started := started + 1;
        end if;
    end loop;
    if lost <> '{}' then
        perform postmill._fail_steps(lost, of_lost, array_fill(null::integer, array[cardinality(lost)]), why);
    end if;
    return started;
end
$$;
