-- How many calls have not ended. Called by postmill.db.tools.losses. Takes no locks. Errors: none.
select count(*) as count from postmill.calls
