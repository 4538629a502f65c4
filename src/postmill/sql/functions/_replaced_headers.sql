-- The headers of a message that is replaced: those of the new one, but where the message waits stays: its key, its
-- group, its priority, the sources that it waits for, and that others wait for it.
-- Called by _replace. Takes no locks. Errors: none.
create or replace function postmill._replaced_headers(old jsonb, new jsonb) returns jsonb
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select (coalesce(new, '{}') - stays.names)
        || (select jsonb_object_agg(key, value) from jsonb_each(old) where key = any (stays.names))
    from (values (array['postmill-unique-key', 'postmill-group', 'postmill-priority', 'postmill-after',
                        'postmill-dependents'])) as stays (names);
$$;
