-- The table of a queue; with %s in format() it becomes a quoted, schema-qualified name. Looks at the catalogue only, so
-- the caller needs no privilege beyond USAGE on schema pgmq. pgmq lower-cases table names, hence the lower().
-- The error's field TABLE names the queue: a statement may be about several.
-- Called by every function that is given a queue. Takes no locks. Errors: PM001.
create or replace function postmill._queue_table(queue text) returns regclass
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    relation regclass := to_regclass(format('pgmq.%I', lower('q_' || coalesce(queue, ''))));
begin
    if relation is null then
        raise exception 'there is no queue %', coalesce(quote_literal(queue), 'null')
            using errcode = 'PM001', table = coalesce(queue, ''),
                  detail = 'No table of that queue is in schema pgmq of this database.',
                  hint = case
                      when postmill._is_queue_name(queue) then
                          coalesce(postmill._near_queue(queue) || ' Or create it', 'Create it')
                          || ' with: select postmill.create_queue(' || quote_literal(queue) || ')'
                      else coalesce(postmill._near_queue(queue),
                                    'See the names with: select queue_name from pgmq.meta') end;
    end if;
    return relation;
end
$$;
