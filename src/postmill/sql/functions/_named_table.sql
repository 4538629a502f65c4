-- The table of a queue, as _queue_table, where the name must be the queue's own, letter by letter: claims, limits and a
-- pause are kept under it. Under another spelling of the same table a pause stops nothing, and what runs is not seen to
-- run. What only sends takes any spelling: see _send.
-- Called by every function that keeps or asks for something under a queue's name. Takes no locks. Errors: PM001.
create or replace function postmill._named_table(queue text) returns regclass
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    relation constant regclass := postmill._queue_table(queue);
    name     constant text := postmill._queue_name_of(queue);
begin
    if name <> queue then
        raise exception 'there is no queue %', quote_literal(queue)
            using errcode = 'PM001', table = queue,
                  detail = 'Its table belongs to a queue whose name is written in other letters.',
                  hint = format('Did you mean %s?', name);
    end if;
    return relation;
end
$$;
