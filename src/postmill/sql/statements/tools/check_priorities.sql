-- Whether a queue is served by priority, and whether one of its messages asks for that. Looks at the newest thousand
-- messages: the oldest ones may be dead rows that no vacuum may remove. Called by: db checks, for each queue. $1 the
-- queue. Takes no locks. Errors: insufficient_privilege.
select coalesce((select has_priorities from postmill.queues where queue_name = $1::text), false) as enabled,
       exists (select from pg_catalog.pg_index join pg_catalog.pg_class on oid = indexrelid
                where indrelid = to_regclass('{queue}') and starts_with(relname, 'postmill_priority_') and indisvalid)
       as indexed,
       exists (select from (select headers from {queue} order by msg_id desc limit 1000) as newest
                where headers ->> 'postmill-priority' ~ '^[1-9]') as asked
