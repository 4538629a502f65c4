-- Which of these sources are not in their queue any more. A row without the mark is another message: the queue was
-- dropped and made anew, and its ids began again. Only headers that are no object are never marked.
-- Called by the sweep. Takes no locks. Errors: those of the table.
create or replace function postmill._gone_sources(queue text, ids bigint[]) returns bigint[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    relation constant regclass := to_regclass(format('pgmq.%I', 'q_' || queue));
    present  bigint[] := '{}';
begin
    if relation is not null then
        execute format(
            'select array(select msg_id from %s where msg_id = any ($1)
                            and (headers ? ''postmill-dependents'' or jsonb_typeof(headers) <> ''object''))', relation)
        into present using ids;
    end if;
    return array(select unnest(ids) except select unnest(present));
end
$$;
