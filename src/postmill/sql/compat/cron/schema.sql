-- The functions and views that people know from pg_cron; applied only where no schema cron is here already. A job is a
-- schedule of a SQL command: postmill.schedules says what it is, and the scheduler of any process runs it. As with
-- pg_cron, whoever may use the schema may schedule: grant usage on schema cron; and, since a command is a function of
-- its user: grant usage, create on schema postmill_commands. The functions run as their caller: that is how a job comes
-- to belong to its user.
create schema if not exists cron;
comment on schema cron is 'Facade cron of Postmill: jobs as pg_cron has them.';
