-- Messages leave the queue by their tokens: `gone` has the ids of those that were still the worker's.
-- Part of the statements that end tasks of flows. Lock order: queue rows by msg_id.
--+ tokens
gone as (
    delete from {queue} as q
--+ still_held
    returning q.msg_id
),
