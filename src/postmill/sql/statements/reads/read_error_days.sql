-- How many attempts have failed by error $1 in each 24 hours of the last 30 days, the oldest first.
-- Called by the command line and the API. Takes no locks. Errors: as error_history.
select sum(failures)::bigint as failures
  from postmill.error_history($1::text, '30 days') with ordinality as hours (at, failures, number)
 group by (number - 1) / 24
 order by (number - 1) / 24
