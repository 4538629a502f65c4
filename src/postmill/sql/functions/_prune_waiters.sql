-- Deletes what clients have left behind that wait no longer: rows that were not renewed for an hour, at most `page` of
-- them. A client that waits for longer renews its rows four times an hour.
-- Called by prune. Locks: rows of waiters, skipping locked ones. Errors: none.
create or replace function postmill._prune_waiters(page integer) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    delete from postmill.waiters where ctid = any (array(
        select ctid from postmill.waiters
        where since < clock_timestamp() - interval '1 hour' order by since limit page for update skip locked));
$$;
