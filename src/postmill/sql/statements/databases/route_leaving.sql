-- How many messages of queue $1 were taken out and have not arrived, by the database to which they go.
-- Called by route status and route move. Locks: none. Errors: none.
select leaving.target, count(*) as messages from postmill.departures as leaving
where leaving.queue_name = $1::text group by leaving.target
