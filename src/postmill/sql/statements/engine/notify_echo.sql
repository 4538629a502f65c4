-- A notification to ourselves, to see whether notifications arrive at all. Called by: engine wakeups, at start.
select pg_notify('postmill.echo', '')
