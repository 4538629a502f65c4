-- Writes down how a run of a command ended: `returned` is its command tag, `reason` Postgres's error. It may have been
-- given up meanwhile (see sweep_commands): what its process says is right. A run in a session of another login is left
-- alone: only its own process knows how it ended.
-- Called by: the scheduler, in the run's session or, when that is gone, in another. `pid`: the run's session. Locks:
-- the run. Errors: none.
create or replace function postmill.end_command(run_id bigint, pid integer, returned text, reason text) returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
    update postmill.schedule_runs as run
       set status = case when end_command.reason is null then 'succeeded' else 'failed' end,
           returned = end_command.returned, reason = end_command.reason, ended_at = clock_timestamp()
     where run.run_id = end_command.run_id and run.pid = end_command.pid and run.status in ('running', 'unknown')
       and not exists (select from pg_catalog.pg_stat_activity as session
                       where session.pid = end_command.pid and session.usename is distinct from session_user);
$$;
