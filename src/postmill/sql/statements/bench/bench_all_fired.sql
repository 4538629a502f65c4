-- Whether each schedule of queue $1 has moved on. Called by: bench schedules. Takes no locks.
select not exists (
    select from postmill.schedules
     where target ->> 'queue' = $1::text and next_at <= clock_timestamp() + interval '1 day')
