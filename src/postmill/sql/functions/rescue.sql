-- Write down which workers are gone, also those that hold nothing, and give back the messages of all that are: each
-- lease ends at once. A worker is gone when its session lock has been found free twice, a second apart (a cut
-- connection comes back at once), or when it has been silent for longer than ten seconds and its lease
-- (_silent_after). A crash is a recorded, counted attempt. Silence of a worker whose lock is held is recorded as
-- lost_lease, which does not count: a stalled network is not the message's fault.
-- `connected_since`: when the caller came back after its own connection was cut. Others may have been cut off as well,
-- so each has the whole time limit from then on, as it has from the server's start.
-- One row a claim that was given back, then one without messages for each worker whose lock is free for the first time
-- or was a moment ago: a call in a second judges it.
-- Called by: every worker, with its heartbeat; anyone may. At most `max_claims` claims are looked at, the oldest
-- first. When some of them are locked there may be others behind, which can be given back: as many are looked at from
-- a place further on, another one each time, so that no locked claim keeps the claims behind it waiting for ever.
-- Lock order: postmill.workers (skipping locked), postmill.claims by claim_id (skipping locked), queue rows (never
-- waiting for one: a settlement locks its rows before its claim, and the two would wait for each other), failures. A
-- claim with a locked row is left for the next call. Errors: none of its own.
create or replace function postmill.rescue(
    max_claims integer default 100, connected_since timestamptz default '-infinity'
)
returns table (queue_name text, worker_id uuid, msg_ids bigint[])
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    claim record;
    above bigint := 0;
    looked_at integer;
    returned integer := 0;
begin
    with judged as (
        select w.worker_id, gone.reason
          from postmill._gone_workers(greatest(connected_since, postmill._server_since())) as gone
          join postmill.workers as w using (worker_id)
         where w.stopped_at is null and w.last_heartbeat_at = gone.last_heartbeat_at
           for update of w skip locked)
    update postmill.workers as w
       set stopped_at = clock_timestamp(), stop_reason = judged.reason
      from judged
     where w.worker_id = judged.worker_id;
    for pass in 1..2 loop
        looked_at := 0;
        for claim in
            select c.claim_id, c.worker_id, c.queue_name, c.msg_ids, c.read_cts, c.claimed_at,
                   case when w.stop_reason = 'silence' then 'lost_lease' else 'crash' end as kind,
                   case when w.stop_reason = 'silence' then 'the worker was silent for longer than its lease'
                        else 'the worker ended while it held this message' end as reason
              from postmill.claims as c
              left join postmill.workers as w using (worker_id)
             where c.claim_id > above
               and (w.worker_id is null
                    or (w.stopped_at is not null
                        -- A claim after that: the worker lives, and has not had its next heartbeat yet.
                        and (c.claimed_at <= w.stopped_at
                             or clock_timestamp() > c.claimed_at + postmill._silent_after(w.lease))))
             order by c.claim_id
             limit max_claims
               for update of c skip locked
        loop
            looked_at := looked_at + 1;
            above := claim.claim_id;
            queue_name := claim.queue_name;
            worker_id := claim.worker_id;
            msg_ids := postmill.return_claim(claim.queue_name, claim.worker_id, claim.msg_ids, claim.read_cts,
                                             claim.claimed_at, claim.kind, claim.reason);
            if msg_ids is not null then
                delete from postmill.claims as c where c.claim_id = claim.claim_id;
                returned := returned + 1;
                return next;
            end if;
        end loop;
        exit when looked_at < max_claims or returned >= looked_at;
        above := above
                 + floor(random() * (coalesce((select max(c.claim_id) from postmill.claims as c), above) - above));
    end loop;
    msg_ids := null;
    for queue_name, worker_id in select * from postmill._suspect_workers() loop
        return next;
    end loop;
end;
$$;
