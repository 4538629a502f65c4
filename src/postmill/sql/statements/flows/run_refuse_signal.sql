-- A wait can't take a signal. $1 run, $2 number of its message, $3 the wait's step, $4 the signal, $5 why. Whether the
-- run goes on.
-- Called by: flows signals. Lock order: see _refuse_signal. Errors: none of its own.
select postmill._refuse_signal($1::bigint, $2::integer, $3::text, $4::bigint, $5::text) as goes_on
