-- The moment $1 seconds before now, as an operation's filter has it.
-- Called by the command line. Takes no locks. Errors: none.
select to_jsonb(clock_timestamp() - make_interval(secs => $1::double precision)) #>> '{}' as moment
