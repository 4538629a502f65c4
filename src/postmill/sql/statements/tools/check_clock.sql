-- The server's clock, in seconds since 1970.
-- Called by doctor, by db server_needs and by the probe of served functions. Takes no locks. Errors: none.
select extract(epoch from clock_timestamp())::float8 as server_s
