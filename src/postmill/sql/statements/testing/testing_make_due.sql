-- Make every message of a queue due that waits for a moment to come: delayed, retrying and snoozed ones. Not those
-- that run.
-- Called by postmill.testing. $1 the queue. Returns how many. Locks: the queue's rows. Errors: none.
with due as (
    update {queue} as queued
       set vt = clock_timestamp()
     where queued.vt > clock_timestamp()
       and not exists (select from postmill._claimed($1::text) as held
                        where held.msg_id = queued.msg_id and held.read_ct = queued.read_ct)
    returning msg_id
)
select count(*) as due, pg_notify(('postmill.' || $1::text)::name::text, '') from due
