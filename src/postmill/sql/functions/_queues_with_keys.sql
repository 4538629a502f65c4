-- The queues that have unique keys: one look into the index for each queue, however many keys there are.
-- Called by prune. Takes no locks. Errors: none.
create or replace function postmill._queues_with_keys() returns table (queue_name text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with recursive found as (
        select min(known.queue_name) as queue_name from postmill.unique_keys as known
        union all
        select (select min(known.queue_name) from postmill.unique_keys as known
                where known.queue_name > found.queue_name)
        from found where found.queue_name is not null
    )
    select found.queue_name from found where found.queue_name is not null;
$$;
