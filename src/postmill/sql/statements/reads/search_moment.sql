-- The moment $1 seconds ago, by the server's clock. Called by the search. Takes no locks. Errors: none.
select clock_timestamp() - $1::bigint * interval '1 second' as at
