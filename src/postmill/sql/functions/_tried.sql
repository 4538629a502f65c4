-- How often a message failed, and how the last time. Ids start again when a queue is created again, hence the age; a
-- lost lease is no failed attempt of the message. A message that is said to come from the future (any client may write
-- so) has all of them.
-- Called by messages. Takes no locks. Errors: none.
create or replace function postmill._tried(queue text, msg_id bigint, since timestamptz)
returns table (times integer, last_error text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select count(*)::integer,
        (array_agg(concat_ws(': ', failure.error_type, failure.error_message) order by failure.failure_id desc))[1]
    from postmill.failures as failure
    where failure.queue_name = _tried.queue and failure.msg_id = _tried.msg_id
      and failure.kind <> 'lost_lease'
      and failure.failed_at >= case when since <= clock_timestamp() then since else '-infinity' end;
$$;
