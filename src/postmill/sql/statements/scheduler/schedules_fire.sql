-- Fires ticks. Called by: scheduler, in the transaction that has locked the schedules. Arguments, locks and errors as
-- postmill.fire_schedules.
select name, tick, msg_id, call_id, status, reason
  from postmill.fire_schedules($1::bigint[], $2::timestamptz[], $3::timestamptz[], $4::timestamptz[], $5::text[])
