-- Deletes a page of a queue's archive, oldest first: at most `page` messages archived from `start` on and before
-- `horizon`.
-- Returns the moment of the last one, and whether older ones may be left. Nothing when the archive was taken away.
-- Called by prune. Locks: the archive's rows, skipping locked ones. Errors: those of the table (no privilege, lock
-- timeout).
create or replace function postmill._prune_archive(
    queue text, horizon timestamptz, page integer, inout start timestamptz, out pruned bigint, out more boolean
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    archive regclass := to_regclass(format('pgmq.%I', lower('a_' || queue)));
    reached timestamptz;
begin
    pruned := 0;
    more := false;
    if archive is null then
        return;
    end if;
    execute format(
        'with gone as (
             delete from %1$s
             where msg_id = any (array(
                 select msg_id from %1$s
                 where archived_at >= $1 and archived_at < $2
                 order by archived_at limit $3 for update skip locked))
               and archived_at >= $1 and archived_at < $2
             returning archived_at
         )
         select count(*), max(archived_at) from gone',
        archive)
    into pruned, reached using start, horizon, page;
    more := pruned = page;
    start := coalesce(reached, start);
end
$$;
