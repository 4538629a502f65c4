-- Sends the payloads $3 with the headers $4 to queue $2, each after the refs in its entry of $5, and marks the jobs $6
-- of source $1 as imported, in their order. Returns how many.
-- Called by postmill import supaqueue, under the lock of import_lock and after a look at the marks. Locks as
-- postmill.send_jobs, then marks. Errors: those of send_jobs; unique_violation, should a mark be there.
with sent as (
    select job.msg_id, job.place
    from postmill.send_jobs($2::text, $3::jsonb[], headers => $4::jsonb[], after => $5::jsonb[],
                            on_source_dead => 'block')
        with ordinality as job (msg_id, existed, place)
), marked as (
    insert into postmill.imported (source, key, queue_name, msg_id)
    select $1::text, given.key, $2::text, sent.msg_id
    from sent join unnest($6::text[]) with ordinality as given (key, place) using (place)
    returning 1
)
select count(*) as written from marked
