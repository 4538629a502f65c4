-- Until when a message waits for a moment of its own, and why, in words; null when that moment has come. A message
-- that was taken before waits for its next attempt if a failure was recorded since; if none was, its handler has put
-- it off, or another client has read it: the row does not say which.
-- Called by _waits_for. Takes no locks. Errors: none.
create or replace function postmill._time_to_come(
    queue text, msg_id bigint, read_ct integer, enqueued_at timestamptz, last_read_at timestamptz, at timestamptz
) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when at <= statement_timestamp() then null
        when read_ct = 0 then 'scheduled for ' || postmill._moment(at)
        when postmill._failed_since_read(queue, msg_id, read_ct, enqueued_at, last_read_at)
            then 'next attempt at ' || postmill._moment(at)
        else 'until ' || postmill._moment(at) || ': snoozed, or read by another client'
    end;
$$;
