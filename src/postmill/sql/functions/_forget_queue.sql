-- Removes what is kept about a queue's messages, apart from dead letters and the history of failures: the ids of a queue
-- that is created again start at 1, and an old receipt, result or cancel request must not meet a new message.
-- Called by create_queue and drop_queue. Locks: rows of claims, results, cancellations, idle_workers, prunings, queues, in this order.
-- Errors: none.
create or replace function postmill._forget_queue(queue text) returns void
language sql
set search_path = ''
as $$
    delete from postmill.claims where queue_name = queue;
    delete from postmill.results where queue_name = queue;
    delete from postmill.cancellations where queue_name = queue;
    delete from postmill.idle_workers where queue_name = queue;
    delete from postmill.prunings where queue_name = queue;
    delete from postmill.queues where queue_name = queue;
$$;
