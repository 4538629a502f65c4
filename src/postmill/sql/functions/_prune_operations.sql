-- Deletes what is kept about operations that ended more than seven days ago: at most `page` rows of what became of
-- their messages, and those that have no such row any more.
-- Called by prune. Locks: rows of operation_rows, then operations, skipping locked ones. Errors: none.
create or replace function postmill._prune_operations(page integer) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
declare
    oldest bigint := (
        select operation.operation_id from postmill.operations as operation
        where operation.ended_at < postmill.now() - interval '7 days'
        order by operation.ended_at limit 1 for update skip locked);
begin
    if oldest is null then
        return;
    end if;
    delete from postmill.operation_rows as row
    where row.operation_id = oldest and row.id = any (array(
        select told.id from postmill.operation_rows as told
        where told.operation_id = oldest order by told.id limit page));
    delete from postmill.operations as operation
    where operation.operation_id = oldest
      and not exists (select from postmill.operation_rows as row where row.operation_id = oldest);
end
$$;
