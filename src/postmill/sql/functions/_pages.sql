-- How many pages a table has on disk, its partitions counted.
-- Called by _depth. Takes no locks. Errors: none; null for a table that is gone.
create or replace function postmill._pages(relation regclass) returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
            (select sum(pg_catalog.pg_relation_size(part.relid))
             from pg_catalog.pg_partition_tree(relation) as part where part.isleaf),
            pg_catalog.pg_relation_size(relation))::bigint / current_setting('block_size')::bigint;
$$;
