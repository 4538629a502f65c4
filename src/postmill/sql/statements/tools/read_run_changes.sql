-- What has changed of the run $1 since $2 (null: all there is), and where to go on. Called by the command line. Locks
-- and errors as postmill.run_changes.
select found.next::text as next, found.changes from postmill.run_changes($1::bigint, $2::text::xid8) as found
