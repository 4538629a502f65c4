-- Deletes the dead letters $2 of queue $1 (null: all), or those that died more than $3 seconds ago.
-- Called by the command line and the API. Locks and errors as postmill.discard.
select postmill.discard($1::text, $2::bigint[], make_interval(secs => $3::float8)) as discarded
