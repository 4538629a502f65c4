-- The run that a message is a task of, if that is paused, and why it is; no row else.
-- Called by _causes. SECURITY DEFINER: whoever may ask after a message needs no right to runs. Takes no locks.
-- Errors: none.
create or replace function postmill._paused_run(queue text, message jsonb) returns table (run_id bigint, reason text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
    select run.run_id, run.reason
    from postmill.runs as run
    where run.run_id = any (postmill._runs_of_tasks(_paused_run.queue, array[_paused_run.message]))
      and run.state = 'paused';
$$;
