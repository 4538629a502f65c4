-- The answer to a call. Called by the command line. Takes no locks. Errors: none.
select content_type, headers, content from postmill.call_responses where call_id = $1::bigint
