-- Each SQL command that a user has scheduled is a function of that user's in this schema, named for its schedule's id.
-- Who is to schedule commands needs: grant usage, create on schema postmill_commands.
create schema if not exists postmill_commands;
comment on schema postmill_commands is 'Postmill: scheduled SQL commands, each a function of its user.';

-- The functions that the triggers call; their texts stand in functions/.
create or replace function postmill._write_command() returns trigger language plpgsql as 'begin return null; end';
create or replace function postmill._drop_command() returns trigger language plpgsql as 'begin return null; end';
create trigger write_command after insert or update of target, run_as on postmill.schedules
    for each row execute function postmill._write_command();
create trigger drop_command after delete on postmill.schedules
    for each row when (old.run_as is not null) execute function postmill._drop_command();
