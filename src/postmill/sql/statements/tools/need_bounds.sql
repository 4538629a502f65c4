-- Bounds a transaction of a probe: $1 the longest wait for a lock, $2 the longest statement, as settings are written.
-- Called by db server_needs. Takes no locks. Errors: none.
select pg_catalog.set_config('lock_timeout', $1::text, true), pg_catalog.set_config('statement_timeout', $2::text, true)
