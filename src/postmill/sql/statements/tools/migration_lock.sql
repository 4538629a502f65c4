-- Lets one migrator at a time go on; held until the transaction ends. Called by postmill.db.tools.migrate, first in
-- each transaction: what it decided before must be read again afterwards, hence read committed. The key is 'postmill'
-- in ASCII.
set transaction isolation level read committed;
set local search_path = pg_catalog;
set local client_min_messages = warning;
select pg_catalog.pg_advisory_xact_lock(x'706f73746d696c6c'::bigint);
