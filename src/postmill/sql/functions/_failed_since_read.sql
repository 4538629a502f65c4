-- Whether a worker's record of a failed attempt came after a message was read for the last time; where pgmq does not
-- write that time down, whether there are as many records as reads. Then nobody holds the message.
-- Called by _waiting and _time_to_come. Takes no locks. Errors: none.
create or replace function postmill._failed_since_read(
    queue text, msg_id bigint, read_ct integer, enqueued_at timestamptz, last_read_at timestamptz
) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select case when _failed_since_read.last_read_at is null then count(*) >= _failed_since_read.read_ct
                else coalesce(max(failure.failed_at) >= _failed_since_read.last_read_at, false) end
    from postmill.failures as failure
    where failure.queue_name = _failed_since_read.queue and failure.msg_id = _failed_since_read.msg_id
      and failure.kind <> 'lost_lease' and failure.failed_at >= _failed_since_read.enqueued_at;
$$;
