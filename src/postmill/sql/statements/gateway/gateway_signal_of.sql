-- The signal that step $2 of run $1 waits for. No row: there is no such run or step, or it waits for none.
-- Called by the gateway. Takes no locks. Errors: none.
select step.signal
  from postmill.run_steps as step
 where step.run_id = $1::bigint and step.step = $2::text and step.signal is not null
