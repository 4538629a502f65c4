-- Sets how long queue $1 keeps what is finished, in seconds (null: for ever), and how many messages its archive keeps
-- at most (null: any number).
-- Called by the command line. Locks and errors as postmill.set_retention.
select postmill.set_retention($1::text, make_interval(secs => $2::float8), $3::bigint)
