-- What became of the messages and letters of operation $1, by id, at most $3; with $2 only of those with that outcome.
-- With ids above $4.
-- Called by the command line and the API. Takes no locks. Errors: none.
select id, outcome, detail
  from postmill.operation_rows
 where operation_id = $1::bigint and ($2::text is null or outcome = $2::text)
   and id > $4::bigint
 order by id
 limit $3::integer
