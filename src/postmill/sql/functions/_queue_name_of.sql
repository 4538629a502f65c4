-- The name under which a queue is known, for a name in any letters: as in pgmq.meta, where another client may have
-- written it in capitals. pgmq makes tables of 'Low' and 'low' one, and its registry does not. A name that is known
-- itself stays, and so does one that no queue has, or that the caller may not look up.
-- Called by _named_table, _check_queue_name, _send, _follow_up, and, for names that edges and blocked have in lower
-- case, by _open and _take_blocked. Takes no locks. Errors: none.
create or replace function postmill._queue_name_of(queue text) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if not has_table_privilege('pgmq.meta', 'select') then
        return queue;
    elsif exists (select from pgmq.meta as known where known.queue_name = queue) then
        return queue;
    end if;
    return coalesce(
        (select known.queue_name::text from pgmq.meta as known where lower(known.queue_name) = lower(queue) limit 1),
        queue);
end
$$;
