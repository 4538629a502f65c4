-- How long a queue keeps what is finished: its archive, failed attempts, results, cancellations and replayed letters;
-- null: for ever. And how many messages its archive keeps: the oldest of more than `archive_max_rows` go, however young
-- they are; null: any number. Each call says both. Without a call for it, the archive of a queue that another client
-- created is left alone.
-- Called by people and the command line. Locks: the queue's row in postmill.queues, then the one in postmill.prunings.
-- Errors: PM001 no such queue, PM003 a negative interval or number.
create or replace function postmill.set_retention(
    queue text, retention interval, archive_max_rows bigint default null
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform postmill._named_table(queue);
    if not isfinite(retention) or retention > interval '10000 years' then
        raise exception 'a retention of % never ends', retention
            using errcode = 'PM003', hint = 'Give null to keep for ever.';
    end if;
    if retention < interval '0' then
        raise exception 'a retention of % is negative', retention
            using errcode = 'PM003', hint = 'Give an interval such as ''30 days'', or null to keep for ever.';
    end if;
    if set_retention.archive_max_rows < 0 then
        raise exception 'an archive can''t keep % messages', set_retention.archive_max_rows
            using errcode = 'PM003', hint = 'Give 0 or more, or null to keep any number.';
    end if;
    insert into postmill.queues as row (queue_name, owned, archive_retention, history_retention, archive_max_rows)
    values (queue, false, retention, retention, set_retention.archive_max_rows)
    on conflict (queue_name) do update
    set archive_retention = excluded.archive_retention, history_retention = excluded.history_retention,
        archive_max_rows = excluded.archive_max_rows;
    insert into postmill.prunings (queue_name) values (queue)
    on conflict (queue_name) do update
    set due_at = excluded.due_at, archive_position = excluded.archive_position,
        failure_position = excluded.failure_position;
end
$$;
