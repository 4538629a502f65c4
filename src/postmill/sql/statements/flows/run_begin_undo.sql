-- A run of a workflow has failed for good, and begins to undo. $1 run, $2 number of its message, $3 reason, $4 culprit.
-- Whether it was running.
-- Called by: flows conclusion. Lock order: the run. Errors: none of its own.
select postmill._begin_undo($1::bigint, $2::integer, $3::text, $4::text) as begun
