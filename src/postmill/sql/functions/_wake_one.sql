-- Wakes one idle worker of a queue to claim, and asks a second one to stand by in case the first is gone: if all of
-- them woke, all but one would find nothing. The channel is the worker's own. Which two workers it is changes twice a
-- second, by the transaction's start: sends that follow each other closely wake the same worker, which takes several
-- messages at once, and the statements of one transaction make equal notifications, which are sent once.
-- Called by wake, and by workers that leave something to others; `asking` is the worker that asks, which is not woken.
-- Takes no locks. Errors: none.
create or replace function postmill._wake_one(queue text, asking uuid default null) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (select from postmill.idle_workers where queue_name = queue) then
        return;
    end if;
    perform pg_notify('postmill.worker.' || chosen.worker_id, case chosen.turn when 1 then 'claim' else 'standby' end)
       from (select l.worker_id,
                    row_number() over (
                       order by uuid_hash_extended(l.worker_id, (extract(epoch from now()) * 2)::bigint)) as turn
               from postmill.idle_workers as l
               join postmill.active_workers as w using (worker_id)
              where l.queue_name = queue and l.worker_id is distinct from asking) as chosen
      where chosen.turn <= 2;
end
$$;
