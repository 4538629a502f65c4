-- How run $1 is doing, as JSON; null when there is none. Called by: the clients. Errors: none.
select postmill.run_result($1::bigint)::text
