-- Which of the messages `among` are running: held by a claim of a worker of ours, whose lease has not ended. A message
-- that another pgmq client has read and not yet finished has no claim, and counts as waiting.
-- Called by cancel, retry and purge_queue, once they have locked the messages' rows: a claim that came before is seen,
-- and none can come between. Takes no locks. Errors: PM001 no such queue.
create or replace function postmill._running(queue text, among bigint[]) returns bigint[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    ids bigint[];
begin
    execute format(
        'select array(
             select queued.msg_id
             from %s as queued
             join postmill._claimed($1) as held using (msg_id, read_ct)
             where queued.msg_id = any ($2) and queued.vt > clock_timestamp())',
        postmill._queue_table(queue))
    into ids using queue, among;
    return ids;
end
$$;
