-- First in each transaction of a probe: what one session writes the other is to read, whatever the server's default.
-- Called by db server_needs. Takes no locks. Errors: none.
set transaction isolation level read committed
