-- What became of the messages and letters of operation $1, by id, at most $3; with $2 only of those with that outcome.
-- Called by the command line. Takes no locks. Errors: none.
select id, outcome, detail
  from postmill.operation_rows
 where operation_id = $1::bigint and ($2::text is null or outcome = $2::text)
 order by id
 limit $3::integer
