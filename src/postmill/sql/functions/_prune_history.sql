-- Deletes what is kept about a queue's finished messages before `horizon`: at most `page` rows of each of results,
-- cancellations and replayed dead letters. A letter that was not replayed is never deleted. Returns how many rows,
-- and whether more may be left.
-- Called by prune. Locks: rows of results, cancellations, dead_letters, in this order. Errors: none.
create or replace function postmill._prune_history(
    queue text, horizon timestamptz, page integer, out pruned bigint, out more boolean
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    gone bigint;
begin
    delete from postmill.results
    where queue_name = queue and msg_id = any (array(
        select msg_id from postmill.results
        where queue_name = queue and completed_at < horizon order by completed_at limit page))
      and completed_at < horizon;
    get diagnostics gone = row_count;
    pruned := gone;
    more := gone = page;
    delete from postmill.cancellations
    where queue_name = queue and msg_id = any (array(
        select msg_id from postmill.cancellations
        where queue_name = queue and requested_at < horizon order by requested_at limit page))
      and requested_at < horizon;
    get diagnostics gone = row_count;
    pruned := pruned + gone;
    more := more or gone = page;
    delete from postmill.dead_letters
    where letter_id = any (array(
        select letter_id from postmill.dead_letters
        where queue_name = queue and replayed_at < horizon order by replayed_at limit page));
    get diagnostics gone = row_count;
    pruned := pruned + gone;
    more := more or gone = page;
end
$$;
