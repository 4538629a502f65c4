-- The process that serves this connection. Called by: db lane, to find out a pooler.
select pg_backend_pid()
