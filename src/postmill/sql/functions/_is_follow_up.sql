-- Whether a JSON value describes a message to send: an object with a queue's name and a message.
-- Called by _follow_up_refusal and _follow_up. Takes no locks. Errors: none.
create or replace function postmill._is_follow_up(value jsonb) returns boolean
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_typeof(value) = 'object' and jsonb_typeof(value -> 'queue') = 'string'
       and value ->> 'queue' <> '' and value ? 'message';
$$;
