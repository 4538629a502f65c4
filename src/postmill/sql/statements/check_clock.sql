-- The server's clock, in seconds since 1970.
-- Called by doctor. Takes no locks. Errors: none.
select extract(epoch from clock_timestamp())::float8 as server_s
