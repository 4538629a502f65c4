-- How long queues keep what is done, in seconds (null: for ever): each rule once, with how many queues it is for and
-- the first of them by name; those that most queues have first. At most $1 rules. Queues about which nothing was ever
-- said are not in it.
-- Called by the settings of the API. Takes no locks. Errors: none.
select
    extract(epoch from known.archive_retention)::float8 as archive_s,
    extract(epoch from known.history_retention)::float8 as history_s,
    known.archive_max_rows,
    count(*) as queues,
    min(known.queue_name) as first_queue
from postmill.queues as known
group by known.archive_retention, known.history_retention, known.archive_max_rows
order by count(*) desc, min(known.queue_name)
limit $1
