-- The messages that _expect_edges has noted in this transaction. Anybody can change a setting: what does not read as
-- such a note is none.
-- Called by _edge_at_commit and _lock_sources. Takes no locks. Errors: none.
create or replace function postmill._expected_edges() returns table (target_queue text, target_id bigint)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    noted constant text := current_setting('postmill.edges', true);
begin
    if coalesce(noted, '') = '' then
        return;
    end if;
    return query
    select note ->> 0, id.value::bigint
    from jsonb_array_elements(('[' || noted || ']')::jsonb) as note
    cross join lateral jsonb_array_elements_text(note -> 1) as id (value);
exception
    when data_exception then
        return;
end
$$;
