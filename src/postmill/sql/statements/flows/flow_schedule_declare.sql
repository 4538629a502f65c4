-- Says what the code of flow $1 says of its schedule: $2 (null: none) in time zone $3. Called by: a flow's worker, at
-- its start. Returns what that has changed. Locks and errors as postmill.declare_flow_schedule.
select postmill.declare_flow_schedule($1::text, $2::text, $3::text) as changed
