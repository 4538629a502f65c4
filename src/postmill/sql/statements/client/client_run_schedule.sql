-- Fires the schedule $1 now. Called by the client and the command line. Returns the id of its message
-- and the queue, as texts; no queue where it sends none.
-- Locks and errors as postmill.run_schedule.
select array[
    postmill.run_schedule($1::text)::text,
    (select target ->> 'queue' from postmill.schedules where name = $1::text)]
