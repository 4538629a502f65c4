-- Before which moment queue $1 keeps no archived message (as text that every server reads), and how many more its
-- archive has room for (null: any number).
-- Called by postmill import pgmq-archive. Counts the archive where it has a bound. Takes no locks. Errors:
-- insufficient_privilege.
select coalesce(to_jsonb(postmill.now() - known.archive_retention) #>> '{}', '-infinity') as horizon,
       case when known.archive_max_rows is not null
            then greatest(known.archive_max_rows - (select count(*) from {archive}), 0) end as room
from (select) as always
left join postmill.queues as known on known.queue_name = $1::text
