-- Trigger function: drops a queue with what is known of its jobs. Refused while jobs of it have not ended.
-- Called by deletes from supaqueue.queue. Locks as drop_queue: the table before the count. Errors: those of
-- drop_queue; PM005 jobs that have not ended.
create or replace function supaqueue._remove_queue() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    jobs bigint;
begin
    perform pg_advisory_xact_lock(hashtext('pgmq.queue_' || old.name));  -- as pgmq does, before the table
    execute format('lock table %s in access exclusive mode', postmill._queue_table(old.name));
    execute format('select count(*) from %s', postmill._queue_table(old.name)) into jobs;
    if jobs > 0 then
        raise exception 'queue % has % jobs that have not ended', quote_literal(old.name), jobs
            using errcode = 'PM005',
                  hint = format('Let them end, or give them up: select postmill.purge_queue(%L)', old.name);
    end if;
    perform postmill.drop_queue(old.name);
    delete from supaqueue.worker_numbers as known where known.queue = old.id;
    delete from supaqueue.listed_job as listed where listed.queue = old.id;
    return old;
end
$$;
revoke execute on function supaqueue._remove_queue from public;
create or replace trigger remove_queue instead of delete on supaqueue.queue for each row
    execute function supaqueue._remove_queue();
comment on function supaqueue._remove_queue is 'Facade supaqueue of Postmill: drops a queue.';
