-- The state of a message that is in its queue. `holder` is the worker whose claim has the message's read_ct, or null;
-- `waits`: it has a row in blocked, or one in gates that names no claim.
-- Called by _in_queue. Takes no locks. Errors: none. A plain SQL function without settings of its own, so that it is
-- inlined into the scan.
create or replace function postmill._state(read_ct integer, vt timestamptz, holder uuid, waits boolean) returns text
language sql stable
as $$
    select case
        when vt <= statement_timestamp() then 'ready'
        when holder is not null then 'running'
        when waits then 'waiting'
        when read_ct > 0 then 'retrying'
        else 'scheduled'
    end;
$$;
