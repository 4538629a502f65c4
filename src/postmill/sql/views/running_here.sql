-- The schedules whose command this session runs just now: the function of each command looks here first, so that a role
-- that may call it can't do so out of turn. It is a view: users make functions in that schema, and one of theirs with
-- the same name and other arguments could be meant in place of a function of ours.
create or replace view postmill_commands.running_here with (security_barrier) as
select run.schedule_id
  from postmill.schedule_runs as run
 where run.status = 'running' and run.pid = pg_backend_pid();
grant select on postmill_commands.running_here to public;
