-- The server's settings that decide what a benchmark can show. Called by postmill.bench. Takes no locks.
select name, setting || coalesce(unit, '') as value
from pg_catalog.pg_settings
where name in (
    'server_version', 'fsync', 'synchronous_commit', 'full_page_writes', 'wal_level', 'shared_buffers',
    'max_wal_size', 'autovacuum'
)
order by name
