-- What there is to do with SQL commands. Called by: scheduler. Takes no locks. Errors as postmill.look_for_commands.
select waiting, open, next_s from postmill.look_for_commands()
