-- How many messages are on their way to another database. Called by postmill.db.tools.losses. Takes no locks. Errors:
-- none.
select count(*) as count from postmill.departures
