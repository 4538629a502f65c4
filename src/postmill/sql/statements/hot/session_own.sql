-- Undo settings that an administrator may have made for the role or the database with people's sessions in mind: time
-- limits, and serializable transactions. A worker has limits of its own, and is idle between two messages. Read-only
-- stays as it is: it says that the server must not be written to now (a failover, a full disk), and a worker waits
-- until that is over. transaction_timeout came with PostgreSQL 17.
-- Called by: db shared_connection, with the session's pins, as the first statement of a transaction with the flag
-- local; and with the flag lent by db borrowed for the sessions of handlers, whose other limits are the role's own.
-- Lock order: none. Errors: none of its own.
set transaction isolation level read committed; --? local
set local statement_timeout = 0; --? local
set local lock_timeout = 0; --? local
set local idle_in_transaction_session_timeout = 0; --? local
select set_config('transaction_timeout', '0', true) --? local
 where current_setting('transaction_timeout', true) is not null; --? local
set statement_timeout = 0; --? session
set lock_timeout = 0; --? session
set idle_in_transaction_session_timeout = 0; --? session
set idle_session_timeout = 0; --? session
set default_transaction_isolation = 'read committed'; --? session
select set_config('transaction_timeout', '0', false) --? session
 where current_setting('transaction_timeout', true) is not null; --? session
set idle_session_timeout = 0; --? lent
