-- In how many seconds a page of an operation is due that this role may carry out; null when there is none.
-- A new one is due since -infinity, from which PostgreSQL 15 and 16 subtract nothing.
-- Called by: operations executor. Takes no locks. Errors: none.
select extract(epoch from min(greatest(next_at, '2000-01-01')) - clock_timestamp())::double precision as next_s
  from postmill.operations
 where ended_at is null and postmill._may_operate(queue_name)
