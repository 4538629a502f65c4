-- Give back the messages of workers that are gone: each lease ends at once and the crash is a recorded, counted attempt.
-- A worker is gone when it was stopped, when its session lock has been found free twice, a second apart (a cut connection comes back at
-- once), or when its heartbeat is older than 6 s. While the server itself is younger than 6 s nobody is judged.
-- One row a receipt that was given back, then one without messages for each worker whose lock is free for the first time or was a
-- moment ago: a call in a second judges it.
-- Called by: every worker, with its heartbeat; anyone may. At most `max_claims` receipts a call.
-- Lock order: postmill.claims by claim_id (skipping locked), postmill.workers, queue rows (never waiting for one: a settlement locks its
-- rows before its receipt, and the two would wait for each other), failures. A receipt with a locked row is left for the next call.
-- Errors: none of its own.
create or replace function postmill.rescue(max_claims integer default 100)
returns table (queue_name text, worker_id uuid, msg_ids bigint[])
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
    receipt record;
begin
    if clock_timestamp() < pg_catalog.pg_postmaster_start_time() + interval '6 seconds' then
        return;
    end if;
    for receipt in
        select c.claim_id, c.worker_id, c.queue_name, c.msg_ids, c.read_cts, c.claimed_at
          from postmill.claims as c
          left join postmill.workers as w using (worker_id)
         where w.worker_id is null
            or w.stopped_at is not null
            or w.last_heartbeat_at < clock_timestamp() - interval '6 seconds'
            or (w.lock_free_at < clock_timestamp() - interval '1 second' and not postmill.lock_is_held(w.lock_key))
         order by c.claim_id
         limit max_claims
           for update of c skip locked
    loop
        update postmill.workers as w
           set stopped_at = clock_timestamp(), stop_reason = 'crash'
         where w.worker_id = receipt.worker_id and w.stopped_at is null;
        queue_name := receipt.queue_name;
        worker_id := receipt.worker_id;
        msg_ids := postmill.return_claim(receipt.queue_name, receipt.worker_id, receipt.msg_ids, receipt.read_cts, receipt.claimed_at);
        if msg_ids is not null then
            delete from postmill.claims as c where c.claim_id = receipt.claim_id;
            return next;
        end if;
    end loop;
    msg_ids := null;
    for queue_name, worker_id in select * from postmill._suspect_workers() loop
        return next;
    end loop;
end;
$$;
