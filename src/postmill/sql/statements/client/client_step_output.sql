-- What step $2 of run $1 has returned, as JSON; null when it is not completed. Called by: the clients. Errors: none.
select postmill.step_output($1::bigint, $2::text)::text
