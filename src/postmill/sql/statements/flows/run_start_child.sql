-- Starts a run of another flow for a step. $1 run, $2 number of its message, $3 step, $4 flow, $5 input as JSON text,
-- $6 whether the step waits for its end, $7 what is kept of its arguments. The child's id; null where the run does not
-- run.
-- Called by: flows durable. Lock order: see _start_child. Errors: PM010 no such flow, PM011 the key is taken with other
-- input.
select postmill._start_child(
    $1::bigint, $2::integer, $3::text, $4::text, $5::text::jsonb, $6::boolean, $7::text) as child
