-- In how many seconds a page of an operation is due that this role may carry out; null when there is none.
-- Called by: operations executor. Takes no locks. Errors: none.
select extract(epoch from min(next_at) - clock_timestamp())::double precision as next_s
  from postmill.operations
 where ended_at is null and postmill._may_operate(queue_name)
