-- How many runs of flows have not ended. Called by postmill.db.tools.losses. Takes no locks. Errors: none.
select count(*) as count from postmill.runs where state not in ('completed', 'failed', 'cancelled')
