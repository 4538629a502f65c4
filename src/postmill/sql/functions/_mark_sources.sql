-- Marks messages that others wait for, and returns which of them are in their queue.
-- Called by _tell_sources. Lock order: the queue's rows by msg_id. Errors: those of the table.
create or replace function postmill._mark_sources(queue text, ids bigint[]) returns bigint[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    relation constant regclass := to_regclass(format('pgmq.%I', 'q_' || queue));
    present  bigint[] := '{}';
begin
    if relation is not null then
        execute format(
            'with present as materialized (
                 select msg_id from %1$s where msg_id = any ($1) order by msg_id for no key update
             ), marked as (
                 update %1$s as queued
                    set headers = coalesce(queued.headers, ''{}'') || ''{"postmill-dependents": true}''
                  where queued.msg_id = any (array(select msg_id from present))
                    and coalesce(jsonb_typeof(queued.headers), ''object'') = ''object''
             )
             select array(select msg_id from present)',
            relation)
        into present using ids;
    end if;
    return present;
end
$$;
