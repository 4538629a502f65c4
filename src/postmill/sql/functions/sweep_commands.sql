-- Writes down the end of runs that no process will end: the session of a running one is gone, or for a minute no
-- process was here that may run a pending one. A minute: so long a deployment may take. A session is here as long as it
-- holds the run's lock; it lets that go a moment before it writes the end, and has its name then. Returns what was
-- written.
-- Called by: the scheduler. Locks: the runs' rows, skipping locked ones. Errors: none of its own.
create or replace function postmill.sweep_commands()
returns table (name text, tick timestamptz, status text, reason text)
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
    with open as materialized (
        select run.run_id, run.status, run.pid, run.fired_at, s.name, s.schedule_id, s.run_as
          from postmill.schedule_runs as run
          join postmill.schedules as s using (schedule_id)
         where run.status in ('pending', 'running')
         order by run.schedule_id, run.tick limit 1000
           for update of run skip locked
    ), ended as (
        select open.run_id, open.name, 'unknown' as status,
               'the scheduler ended while it ran: what it had committed stays' as reason
          from open
         where open.status = 'running'
           and open.pid not in (select postmill._locked_by(postmill._command_lock(open.run_id)))
           and not exists (select from pg_catalog.pg_stat_activity as session
                           where session.pid = open.pid and session.application_name = 'postmill commands')
        union all
        select open.run_id, open.name, 'failed', postmill._why_not_run(session_user, open.schedule_id, open.run_as)
          from open
         where open.status = 'pending' and open.fired_at < clock_timestamp() - interval '1 minute'
           and postmill._why_not_run(session_user, open.schedule_id, open.run_as) is not null
           and not exists (select from postmill._runners() as runner (login)
                           where postmill._why_not_run(runner.login, open.schedule_id, open.run_as) is null)
    )
    update postmill.schedule_runs as run
       set status = ended.status, reason = ended.reason, ended_at = clock_timestamp()
      from ended
     where run.run_id = ended.run_id
    returning ended.name, run.tick, run.status, run.reason;
$$;
