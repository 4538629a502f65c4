-- How long queue $1 keeps its archive and its history, in seconds (null: for ever), and how many messages its archive
-- keeps (null: any number). The history of a queue about which
-- nothing was ever said is kept as long as postmill.prune keeps it.
-- Called by the command line. Takes no locks. Errors: none.
select
    extract(epoch from known.archive_retention)::float8 as archive_s,
    extract(epoch from case when known.queue_name is null then interval '7 days'
                            else known.history_retention end)::float8
        as history_s,
    known.archive_max_rows
from (values ($1::text)) as asked (queue_name)
left join postmill.queues as known using (queue_name)
