-- Until when a message waits for a moment of its own, and why; null when that moment has come. A message that was taken
-- before waits for its next attempt (`retry`) if a failure was recorded since; if none was, its handler has put it off,
-- or another client has read it (`read_elsewhere`): the row does not say which. Others are `delayed`.
-- Called by _waits_for and why. Takes no locks. Errors: none.
create or replace function postmill._time_to_come(
    queue text, msg_id bigint, read_ct integer, enqueued_at timestamptz, last_read_at timestamptz, at timestamptz,
    out cause text, out said text
)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select cause, case cause
        when 'delayed' then 'scheduled for ' || postmill._moment(at)
        when 'retry' then 'next attempt at ' || postmill._moment(at)
        when 'read_elsewhere' then 'until ' || postmill._moment(at) || ': snoozed, or read by another client'
    end
    from (select case
        when at <= statement_timestamp() then null
        when read_ct = 0 then 'delayed'
        when postmill._failed_since_read(queue, msg_id, read_ct, enqueued_at, last_read_at) then 'retry'
        else 'read_elsewhere'
    end) as judged (cause);
$$;
