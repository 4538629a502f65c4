-- The first $3 items of the map $2 of the run $1 that have failed, with why. Called by the API and the dashboard. Takes
-- no locks. Errors: none.
select item, reason from postmill.items
 where run_id = $1::bigint and step = $2::text and ended and reason is not null
 order by item limit $3::integer
