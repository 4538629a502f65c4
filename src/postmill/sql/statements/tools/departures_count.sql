-- How many messages are on their way to another database, and of which queues. Called by postmill.db.tools.migrate
-- before it uninstalls. Takes no locks. Errors: none.
select count(*) as count, array_agg(distinct queue_name order by queue_name) as queues from postmill.departures
