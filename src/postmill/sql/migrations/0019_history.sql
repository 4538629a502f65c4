-- What queues have done and how full they were, over time. Nothing here is written for a single message: workers add
-- up in memory and write sums, and pruning takes a look at each queue in its turn.

-- One row a queue, minute and slot: sums over what its workers have settled. A worker always adds to the same one of
-- the four slots, so that many workers do not wait for one row. After six hours the rows of an hour become one, in
-- slot 0 at the hour's begin.
create table postmill.minutes (
    minute     timestamptz not null,
    queue_name text not null,
    slot       smallint not null check (slot between 0 and 3),
    started    bigint not null,  -- messages whose first attempt has ended
    completed  bigint not null,
    failed     bigint not null,  -- attempts, whether another follows or not
    dead       bigint not null,  -- messages that became dead letters
    ran_ms     bigint not null,  -- of the attempts that completed or failed
    waited_ms  bigint not null,  -- of the messages in `started`: from sending until they were claimed
    primary key (queue_name, minute, slot)
) with (fillfactor = 70);        -- a row is updated some 27 times in its minute: room for that on its page

-- How many messages were in which state, about once a minute. Of an empty queue that was empty before there is no
-- further row. After six hours the last row of each hour is left.
create table postmill.queue_samples (
    queue_name text not null,
    at         timestamptz not null,
    ready      bigint not null,
    running    bigint not null,
    retrying   bigint not null,
    scheduled  bigint not null,
    waiting    bigint not null,
    dead       bigint not null,
    primary key (queue_name, at)
);

-- The number of the last sums that the worker has written: those that are sent again do not count twice.
alter table postmill.workers add column sums_written integer not null default 0;

-- Until when the history of the queue is by the hour.
alter table postmill.prunings add column folded_to timestamptz not null default '-infinity';
