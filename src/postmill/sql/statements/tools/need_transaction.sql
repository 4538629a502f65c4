-- The id of this transaction, as text. Called by db server_needs. Takes no locks. Errors: none.
select pg_catalog.pg_current_xact_id()::text as id
