-- Looks through a page of a queue's failed attempts, at most `page` with ids above `start`, and deletes those before
-- `horizon`. Attempts at a message that is still in the queue are kept however old they are: they count.
-- Returns the last id looked at, and whether more may be left.
-- Called by prune. Locks: the failures' rows. Errors: none.
create or replace function postmill._prune_failures(
    queue text, horizon timestamptz, page integer, inout start bigint, out pruned bigint, out more boolean
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    relation regclass := to_regclass(format('pgmq.%I', lower('q_' || queue)));
    looked   bigint[];
    waiting  bigint[] := '{}';
begin
    looked := array(
        select failure_id from (
            select failure_id, failed_at from postmill.failures
            where queue_name = queue and failure_id > start
            order by failure_id limit page
        ) as next where failed_at < horizon
    );
    if relation is not null then
        execute format(
            'select array(select msg_id from %s where msg_id in (
                 select msg_id from postmill.failures where queue_name = $2 and failure_id = any ($1)))', relation)
        into waiting using looked, queue;
    end if;
    delete from postmill.failures
    where queue_name = queue and failure_id = any (looked) and msg_id <> all (waiting);
    get diagnostics pruned = row_count;
    more := postmill._prune_logs(queue, horizon, page) = page or cardinality(looked) = page;
    start := coalesce((select max(id) from unnest(looked) as id), start);
end
$$;
