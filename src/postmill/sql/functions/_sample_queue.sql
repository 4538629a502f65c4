-- Notes how many messages of a queue are in which state, unless that was noted less than 50 seconds ago. An empty queue
-- that was empty the last time is not noted again. Time is postmill.now().
-- Called by prune. Locks: none that wait. Errors: none: a queue that can't be looked at now is left to the next time.
create or replace function postmill._sample_queue(queue text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
    latest postmill.queue_samples;
    found  record;
begin
    select * into latest from postmill.queue_samples as sample
    where sample.queue_name = queue order by sample.at desc limit 1;
    if latest.at > postmill.now() - interval '50 seconds' or not postmill._has_queue(queue) then
        return;
    end if;
    select * into found from postmill.queue_stats(queue);
    if found.total + found.dead > 0
       or latest.ready + latest.running + latest.retrying + latest.scheduled + latest.waiting + latest.dead > 0 then
        insert into postmill.queue_samples (queue_name, at, ready, running, retrying, scheduled, waiting, dead)
        values (queue, postmill.now(), found.ready, found.running, found.retrying, found.scheduled, found.waiting,
                found.dead)
        on conflict do nothing;
    end if;
exception
    when others then
        if sqlstate not in ('55P03', '40P01') then  -- lock_not_available, deadlock_detected: they pass
            raise warning 'queue % can''t be sampled: %', quote_literal(queue), sqlerrm;
        end if;
end
$$;
