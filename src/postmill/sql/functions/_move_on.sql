-- Writes down how far an operation has come, and what became of the page `seen`.
-- Called by _take_page, which holds the operation. Locks: none beyond that. Errors: none.
create or replace function postmill._move_on(operation postmill.operations, seen bigint[], reached bigint) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
    with told as (
        select count(*) filter (
                   where row.outcome in ('cancelled', 'requested', 'ready', 'moved', 'replayed', 'discarded')) as done,
               count(*) filter (where row.outcome in ('refused', 'running', 'skipped', 'gone')) as skipped,
               count(*) filter (where row.outcome = 'failed') as failed,
               count(*) filter (where row.outcome = 'busy') as busy
        from postmill.operation_rows as row
        where row.operation_id = operation.operation_id and row.id = any (seen)
    ), went as (
        select reached >= operation.upper_id as is_through,
               operation.busy + told.busy - case when operation.is_again then cardinality(seen) else 0 end as busy
        from told
    )
    update postmill.operations as it
    set state = case when went.is_through and (it.is_again or went.busy = 0) then 'done' else 'running' end,
        ended_at = case when went.is_through and (it.is_again or went.busy = 0) then clock_timestamp() end,
        is_again = it.is_again or went.is_through,
        position = case when went.is_through and not it.is_again then 0 else reached end,
        done = it.done + told.done, skipped = it.skipped + told.skipped, failed = it.failed + told.failed,
        busy = went.busy
    from told, went
    where it.operation_id = operation.operation_id;
$$;
