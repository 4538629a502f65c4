-- Sets how long queue $1 keeps what is finished, in seconds; null keeps it for ever.
-- Called by the command line. Locks and errors as postmill.set_retention.
select postmill.set_retention($1::text, make_interval(secs => $2::float8))
