-- The server and this login: version, names, and whether anything can be changed here at all.
-- Called by the settings of the API. Takes no locks. Errors: none.
select current_setting('server_version') as version,
       current_database()::text as name,
       current_user::text as login,
       pg_is_in_recovery() as standby,
       current_setting('default_transaction_read_only')::boolean as unwritable
