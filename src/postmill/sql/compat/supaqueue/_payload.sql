-- The payload of a job, from wherever its message is: its queue, the archive, a dead letter or a cancellation. Null
-- when only its result is left.
-- Called by the view job. Takes no locks. Errors: none.
create or replace function supaqueue._payload(queue_name text, msg_id bigint) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    found jsonb;
begin
    execute format('select message from %s where msg_id = $1', postmill._queue_table(queue_name))
    into found using msg_id;
    return coalesce(
        found,
        (select kept.message from postmill._in_archive(_payload.queue_name, 1, _payload.msg_id, null) as kept),
        (select letter.message from postmill.dead_letters as letter
         where letter.queue_name = _payload.queue_name and letter.msg_id = _payload.msg_id
         order by letter.letter_id desc limit 1),
        (select request.message from postmill.cancellations as request
         where request.queue_name = _payload.queue_name and request.msg_id = _payload.msg_id));
end
$$;
revoke execute on function supaqueue._payload from public;
comment on function supaqueue._payload is 'Facade supaqueue of Postmill: the payload of a job.';
