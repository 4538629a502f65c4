-- Removes what is kept about a queue's messages: the ids of a queue that is created again start at 1, and an old
-- claim, result or cancel request must not meet a new message. Dead letters and the history of failures only with
-- `dead_too`.
-- Called by create_queue and drop_queue. Locks: rows of claims, results, cancellations, idle_workers, gates, groups,
-- unique_keys, waiters, blocked, edges, ended, call_queues, imported, minutes, queue_samples, error_hours,
-- prunings, queues, operations, attempt_logs, payload_types, failures, dead_letters, in this order. Errors: none.
create or replace function postmill._forget_queue(queue text, dead_too boolean) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    delete from postmill.claims where queue_name = queue;
    delete from postmill.results where queue_name = queue;
    delete from postmill.cancellations where queue_name = queue;
    delete from postmill.idle_workers where queue_name = queue;
    delete from postmill.gates where queue_name = lower(queue);
    delete from postmill.groups where queue_name = lower(queue);
    delete from postmill.unique_keys where queue_name = queue;
    delete from postmill.waiters where queue_name = queue;
    delete from postmill.blocked where queue_name = lower(queue);
    delete from postmill.edges where target_queue = lower(queue);
    -- What waited for a message of this queue must not take a new one with the same id for it: no id is below 0.
    update postmill.edges set source_id = -source_id, died = false
    where source_queue = lower(queue) and source_id > 0;
    update postmill.ended set msg_id = -msg_id where queue_name = lower(queue) and msg_id > 0;
    delete from postmill.call_queues where queue_name = queue;
    delete from postmill.imported where queue_name = queue;
    delete from postmill.minutes where queue_name = queue;
    delete from postmill.queue_samples where queue_name = queue;
    delete from postmill.error_hours where queue_name = queue;  -- failures that are kept are counted again
    delete from postmill.prunings where queue_name = queue;
    delete from postmill.queues where queue_name = queue;
    update postmill.operations set state = 'failed', error = 'the queue was dropped', ended_at = clock_timestamp()
    where queue_name = queue and ended_at is null;
    delete from postmill.attempt_logs where queue_name = queue;
    delete from postmill.payload_types where queue_name = queue and dead_too;  -- said before a worker makes its queue
    delete from postmill.failures where queue_name = queue and dead_too;
    delete from postmill.dead_letters where queue_name = queue and dead_too;
$$;
