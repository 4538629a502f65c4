-- What there is to do with commands. `waiting`: runs that this login may begin. `open`: runs that have not
-- ended, of any login. `next_s`: seconds until the next tick of a command's schedule; null where none is scheduled.
-- Called by: the scheduler. Takes no locks. Errors: none.
create or replace function postmill.look_for_commands(
    out waiting bigint, out open bigint, out next_s double precision
)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(sum(case when s.overlap = 'allow' then runs.pending
                             when runs.pending = runs.open then least(runs.pending, 1) end)
               filter (where runs.pending > 0
                       and postmill._why_not_run(session_user, s.schedule_id, s.run_as) is null), 0)::bigint,
           coalesce(sum(runs.open), 0)::bigint,
           extract(epoch from min(case when s.paused_at is null and s.problem is null then s.next_at end)
               - postmill.now())::double precision
      from postmill.schedules as s
      cross join lateral (
           select count(*) as open, count(*) filter (where run.status = 'pending') as pending
             from postmill.schedule_runs as run
            where run.schedule_id = s.schedule_id and run.status in ('pending', 'running')
           ) as runs
     where s.run_as is not null;
$$;
