-- The group that a message's headers name, cut to the length that a group's key may have; null where they name none.
-- Another client may have put anything there.
-- Called by everything that parks messages or takes them from their gates. Takes no locks. Errors: none.
create or replace function postmill._group_of(headers jsonb) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select case when jsonb_typeof(headers) = 'object' then nullif(left(headers ->> 'postmill-group', 200), '') end;
$$;
