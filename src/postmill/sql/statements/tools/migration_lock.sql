-- Lets one migrator at a time go on; held until the transaction ends. Called by postmill.db.tools.migrate, first in
-- each transaction: what it decided before must be read again afterwards, hence read committed. What follows is
-- compiled and read by PostgreSQL's own defaults, whatever those of the role or the database are. The key is 'postmill'
-- in ASCII.
set transaction isolation level read committed;
set local search_path = pg_catalog;
set local client_min_messages = warning;
set local standard_conforming_strings = on;
set local array_nulls = on;
set local transform_null_equals = off;
set local plpgsql.extra_errors = 'none';
select pg_catalog.pg_advisory_xact_lock(x'706f73746d696c6c'::bigint);
