-- Cancels the runs whose tasks are in a queue, and locks its table. A settlement that holds a run may wait for the
-- table, and one that holds rows of the table may wait for a run: no order of the two suits both. So this waits for
-- 0.2 s, gives back what it has and tries again, for four seconds in all.
-- Called by drop_queue. Locks: as _cancel_runs, then ACCESS EXCLUSIVE on the queue's table. Errors: lock_not_available.
create or replace function postmill._cancel_and_lock(queue text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set lock_timeout = '200ms'
as $$
declare
    why text := postmill._by_whom('cancelled', format('queue %s was dropped', queue));
begin
    for attempt in 1..20 loop
        begin
            perform postmill._cancel_runs(postmill._live_runs(queue), why);
            execute format('lock table %s in access exclusive mode', postmill._queue_table(queue));
            perform postmill._cancel_runs(postmill._live_runs(queue), why);  -- those that began meanwhile
            return;
        exception when lock_not_available then
            if attempt = 20 then
                raise;
            end if;
        end;
    end loop;
end
$$;
