-- Deletes the dead letters $2 (null: all) of queue $1 that died more than $3 seconds ago (null: whenever).
-- Called by the command line. Locks and errors as postmill.discard.
select postmill.discard($1::text, $2::bigint[], make_interval(secs => $3::float8)) as discarded
