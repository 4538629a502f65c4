-- What waits in queue $1 for other messages or for a place in its group, for monitoring: how many messages, counted up
-- to 10,000; how long ago the first of them could have run, in seconds, null when none could yet; how many groups are
-- at a limit, of the first 100 that wait; how many messages wait for others in vain, of the first 1,000; and how many
-- workers of $2 slots the queue wants.
-- Called by the probe, when its metrics are asked for. Takes no locks. Errors: PM001 no such queue.
select held.waiting,
       extract(epoch from clock_timestamp() - greatest(held.oldest, '2000-01-01'))::double precision
           as oldest_waiting_s,
       postmill.desired_workers($1::text, $2::integer, max => 10000) as desired_workers,
       (select count(*) from postmill._held_up_groups($1::text, 100)) as groups_at_limit,
       (select count(distinct msg_id)
          from postmill._stuck($1::text, interval '1 minute', 1000)) as dependents_stuck
  from postmill._count_waiting($1::text, postmill._queue_table($1::text), 10000) as held
