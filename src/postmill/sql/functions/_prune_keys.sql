-- Looks through a page of a queue's unique keys, at most ten times `page` of those after `start`, and deletes those
-- that nothing holds. Returns the last key looked at, and whether to come back at once: not at the end of the keys, nor
-- where a tenth of them or more are held, since then the sweep reads more than it frees.
-- Called by prune. Locks: the keys, in ascending order, passing by those that a sender has; then it looks again.
-- Errors: none.
create or replace function postmill._prune_keys(
    queue text, page integer, inout start text, out pruned bigint, out more boolean
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    looked text[];
    free   text[];
    is_end boolean;
begin
    looked := array(
        select known.unique_key from postmill.unique_keys as known
        where known.queue_name = queue and known.unique_key > start
        order by known.unique_key limit page * 10);
    is_end := cardinality(looked) < page * 10;
    free := postmill._free_keys(queue, looked);
    free := array(
        select known.unique_key from postmill.unique_keys as known
        where known.queue_name = queue and known.unique_key = any (free)
        order by known.unique_key for update skip locked);
    -- A statement of its own: a sender may have taken the key for a new message before it was locked.
    free := postmill._free_keys(queue, free);
    delete from postmill.unique_keys as known where known.queue_name = queue and known.unique_key = any (free);
    get diagnostics pruned = row_count;
    more := not is_end and pruned >= page;
    start := case when is_end then '' else looked[cardinality(looked)] end;
end
$$;
