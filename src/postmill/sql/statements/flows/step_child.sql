-- How run $1 has ended, as JSON, for step $3 of run $2, which has started it; null when it has not. Called by: flows
-- graph_handler. Takes no locks. Errors: none.
select postmill._child_result($1::bigint, $2::bigint, $3::text)::text as result
