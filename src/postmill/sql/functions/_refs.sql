-- The references of a batch, one row each: whose it is (`place` in the batch), what it says, and what it names: another
-- message of the batch (`batch_place`), or a queue and an id. Null is what it does not name; nothing is checked. A
-- queue's name ends at the last colon, since pgmq allows colons in it.
-- Called by _block and _check_refs. Takes no locks. Errors: none.
create or replace function postmill._refs(after jsonb[])
returns table (place bigint, said jsonb, batch_place integer, source_queue text, source_id numeric)
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select wanted.place, ref.said,
        substring(ref.said #>> '{}' from '^#([0-9]{1,9})$')::integer,
        lower(substring(ref.said #>> '{}' from '^(.+):[0-9]{1,30}$')),
        substring(ref.said #>> '{}' from '^.+:([0-9]{1,30})$')::numeric
    from unnest(after) with ordinality as wanted (refs, place)
    cross join lateral jsonb_array_elements(wanted.refs) as ref (said)
    where jsonb_typeof(ref.said) = 'string'
    union all
    select wanted.place, ref.said, null, null, null
    from unnest(after) with ordinality as wanted (refs, place)
    cross join lateral jsonb_array_elements(wanted.refs) as ref (said)
    where jsonb_typeof(ref.said) <> 'string';
$$;
