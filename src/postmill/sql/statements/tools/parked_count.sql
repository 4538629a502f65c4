-- How many messages wait for a place in their group or for other messages: their time is far in the future, and without
-- schema postmill nothing brings it back. Called by postmill.db.tools.losses. Takes no locks. Errors: none.
select (select count(*) from postmill.gates where claim_id is null)
     + (select count(*) from postmill.blocked) as count
