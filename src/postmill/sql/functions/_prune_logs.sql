-- Deletes at most `page` logs of a queue's failed attempts that were written before `horizon`. Returns how many.
-- Called by _prune_failures. Locks: the rows it deletes, skipping locked ones. Errors: none.
create or replace function postmill._prune_logs(queue text, horizon timestamptz, page integer) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
    with gone as (
        delete from postmill.attempt_logs
        where ctid = any (array(
            select ctid from postmill.attempt_logs as log
            where log.queue_name = queue and log.logged_at < horizon
            order by log.logged_at limit page for update skip locked))
        returning msg_id
    )
    select count(*) from gone
$$;
