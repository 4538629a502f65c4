-- Says what the code of worker $2 of queue $1 says of its schedule: $3 (null: none) in time zone $4. Called by: engine,
-- at a worker's start. Returns what that has changed. Locks and errors as postmill.declare_schedule.
select postmill.declare_schedule($1::text, $2::text, $3::text, $4::text) as changed
