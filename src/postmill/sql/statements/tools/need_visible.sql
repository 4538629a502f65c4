-- Whether the transaction $1 is over for this session. Called by db server_needs. Takes no locks. Errors: none.
select pg_catalog.pg_visible_in_snapshot($1::text::xid8, pg_catalog.pg_current_snapshot()) as visible
