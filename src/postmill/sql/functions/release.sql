-- Lets messages run without these sources, or tells them that those ended otherwise. `fate`: completed, dead,
-- cancelled, or unknown (it left no trace). Returns each of `ids`, and whether a message waited for it. The queue's
-- name may be in other letters: it is kept in lower case where messages wait.
-- Called by people. Lock order: as _release. Errors: PM001 no such queue, PM003.
create or replace function postmill.release(queue text, ids bigint[], fate text)
returns table (msg_id bigint, released boolean)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    sources bigint[];
begin
    perform postmill._queue_table(queue);
    if coalesce(fate, '') not in ('completed', 'dead', 'cancelled', 'unknown') then
        raise exception '% is no end of a message', coalesce(quote_literal(fate), 'null')
            using errcode = 'PM003', hint = 'It is completed, dead, cancelled or unknown.';
    end if;
    sources := postmill._waited_for(queue, ids, fate);
    perform postmill._release(queue, sources, fate);
    return query select source.id, source.id = any (sources) from unnest(ids) as source (id);
end
$$;
