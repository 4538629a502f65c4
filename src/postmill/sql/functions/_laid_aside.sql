-- Why a message of a queue was laid aside, which was a task of a run: the run is paused, or no worker has the task's
-- step. No row for any other, and where the run has ended.
-- Called by _causes. SECURITY DEFINER: whoever may ask after a message needs no right to runs. Takes no locks.
-- Errors: none.
create or replace function postmill._laid_aside(queue text, msg_id bigint)
returns table (cause text, said text, detail jsonb)
language sql stable security definer
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
    select case run.state when 'paused' then 'run_paused' else 'no_version' end,
        format('it is laid aside: its run %s does not go on: %s', run.run_id, case run.state
            when 'paused' then run.reason
            else format('no worker for version %s', version.version) || coalesce(format(' (step %s)', held.step), '')
            end),
        jsonb_build_object('run_id', run.run_id, 'since', held.held_at) || case run.state
            when 'paused' then jsonb_build_object('reason', run.reason)
            else jsonb_build_object('version', version.version, 'step', held.step) end
    from postmill.held_tasks as held
    join postmill.runs as run using (run_id)
    join postmill.flow_versions as version using (version_id)
    where held.msg_id = _laid_aside.msg_id and lower(held.queue_name) = lower(queue)
      and run.ended_at is null and (run.state = 'paused' or held.why = 'version');
$$;
