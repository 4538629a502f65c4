-- What of the run $1 has failed beside its steps, at most $2 of each kind: items of maps, and attempts that will be
-- repeated. Called by the command line. Takes no locks. Errors: none.
(select item.step, item.item, null::integer as attempt, item.reason, null::timestamptz as failed_at
   from postmill.items as item
  where item.run_id = $1::bigint and item.reason is not null
  order by item.step, item.item
  limit $2::integer)
union all
(select attempt.step, attempt.item, attempt.attempt, attempt.reason, attempt.failed_at
   from postmill._run_attempts($1::bigint) as attempt
  limit $2::integer)
