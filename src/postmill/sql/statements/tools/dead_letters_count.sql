-- How many dead letters were not replayed. Called by postmill.db.tools.losses. Errors: none.
select count(*) as count from postmill.dead_letters where replayed_at is null
