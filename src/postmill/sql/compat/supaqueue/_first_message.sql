-- The message that a job was at first, before it was replayed: the one in its id.
-- Called by the views current_job and job_dependencies. Takes no locks. Errors: none.
create or replace function supaqueue._first_message(queue_name text, msg_id bigint) returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with recursive earlier (msg_id) as (
        select _first_message.msg_id
        union all
        select letter.msg_id
        from earlier
        join postmill.dead_letters as letter
            on letter.queue_name = _first_message.queue_name and letter.replayed_at is not null
               and letter.replayed_as = earlier.msg_id and letter.msg_id < earlier.msg_id  -- it ends
    )
    select min(earlier.msg_id) from earlier;
$$;
revoke execute on function supaqueue._first_message from public;
comment on function supaqueue._first_message is 'Facade supaqueue of Postmill: the message that a job was at first.';
