-- Takes the advisory lock $1 for this transaction, and reads a table. Returns which process answers.
-- Called by db server_needs. Locks: that one, which nobody else asks for. Errors: none of its own.
select pg_catalog.pg_backend_pid() as pid, pg_catalog.pg_try_advisory_xact_lock($1::bigint) as held
  from (select from pg_catalog.pg_namespace limit 1) as looked
