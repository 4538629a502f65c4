-- Children have ended: each end becomes the outcome of the parent's step that waits for it, and a parent that waits
-- goes on. A message that names another run's child, or one that has not ended, does nothing; nor does a second one.
-- A failure is none to a parent that has ended: a retry has the child go on, and it was cancelled for its sake, mostly.
-- Called by the statement run_child_ended. Lock order: parents by run_id, then their steps, then queues; a child's row
-- is never locked: it has ended, and changes no more. Errors: PM005 (see _check_isolation).
create or replace function postmill._wake_parents(run_ids bigint[], steps text[], children bigint[]) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
#variable_conflict use_column
declare
    woken bigint[];
begin
    perform postmill._check_isolation();
    perform from postmill.runs as r where r.run_id = any (run_ids) order by r.run_id for no key update;
    with ended as (
        update postmill.steps as s
           set state = case when c.state = 'completed' then 'completed' else 'failed' end,
               output = case when c.state = 'completed'
                             then coalesce(postmill.run_result(c.run_id) -> 'output', 'null') end,
               reason = case when c.state <> 'completed' then
                   concat_ws(': ', format('run %s of %s %s', c.run_id, c.flow,
                                          case c.state when 'failed' then 'has failed' else 'was cancelled' end),
                             c.reason) end,
               ended_at = clock_timestamp(), changed = pg_current_xact_id()
          from unnest(run_ids, steps, children) as t (run_id, step, child)
          join postmill.runs as c on c.run_id = t.child and c.ended_at is not null
           and c.parent_run = t.run_id and c.parent_step = t.step
          join postmill.runs as p on p.run_id = t.run_id and (c.state = 'completed' or p.ended_at is null)
         where s.run_id = t.run_id and s.step = t.step and s.state = 'waiting'
        returning s.run_id
    ), gone_on as (
        update postmill.runs as r
           set state = 'running', wake = r.wake + 1, waits_for = null, due_at = null, changed = pg_current_xact_id()
         where r.run_id in (select run_id from ended) and r.state = 'waiting'
        returning r.run_id
    )
    select array_agg(run_id) into woken from gone_on;
    perform postmill._send_wakes(woken, array_fill(clock_timestamp(), array[coalesce(cardinality(woken), 0)]));
end
$$;
