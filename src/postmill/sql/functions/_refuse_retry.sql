-- Says that a message can't be made ready, because it waits for others, and for which. Called by retry. Takes no locks.
-- Errors: PM005, always.
create or replace function postmill._refuse_retry(queue text, msg_id bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    sources text[] := array(
        select format('%s:%s', edge.source_queue, edge.source_id) from postmill.edges as edge
        where edge.target_queue = lower(queue) and edge.target_id = _refuse_retry.msg_id
        order by edge.source_queue, edge.source_id limit 5);
begin
    raise exception 'message % of queue % waits for other messages', msg_id, quote_literal(queue)
        using errcode = 'PM005',
              detail = format('It waits for %s.', coalesce(nullif(array_to_string(sources, ', '), ''), 'the sweep')),
              hint = 'Cancel it, or let it run without one of them, for example: select postmill.release('
                     || coalesce(quote_literal(split_part(sources[1], ':', 1)), '''tasks''')
                     || ', ''{' || coalesce(substring(sources[1] from '[0-9]+$'), '17') || '}'', ''completed'')';
end
$$;
