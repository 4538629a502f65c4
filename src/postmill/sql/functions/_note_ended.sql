-- Writes down that messages ended, as long as edges are left of them: the sweep passes that on. Edges of a dead source
-- whose targets wait for its replay are not left, they stay.
-- Called by _pass_on and _release. Locks: new rows of ended. Errors: none.
create or replace function postmill._note_ended(queue text, ids bigint[], fate text) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    insert into postmill.ended (queue_name, msg_id, fate)
    select lower(queue), source.id, fate
    from unnest(postmill._waited_for(queue, ids, fate)) as source (id)
    on conflict do nothing;
$$;
