-- Why step $2 of run $1 has no output, in words. Called by: the clients. Errors: none.
select postmill._why_no_output($1::bigint, $2::text)
