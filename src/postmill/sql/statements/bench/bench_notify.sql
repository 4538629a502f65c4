-- One notification on channel $1. Called by postmill.bench for the raw round trip.
select pg_notify($1::text, '')
