-- Marks messages that others wait for, and returns which of them are in their queue. One that had no mark is the first
-- of its id that is waited for: what edges there are already that know of a mark are those of an earlier message, whose
-- queue another client has dropped. They are turned away from it, as by _forget_queue: no id is below 0.
-- Called by _tell_sources. Lock order: the queue's rows by msg_id, then such edges. Errors: those of the table.
create or replace function postmill._mark_sources(queue text, ids bigint[]) returns bigint[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    relation constant regclass := to_regclass(format('pgmq.%I', 'q_' || queue));
    present  bigint[] := '{}';
    unmarked bigint[] := '{}';
begin
    if relation is not null then
        execute format(
            'with present as materialized (
                 select msg_id, coalesce(headers, ''{}'') as headers
                 from %1$s where msg_id = any ($1) order by msg_id for no key update
             ), marked as (
                 update %1$s as queued
                    set headers = coalesce(queued.headers, ''{}'') || ''{"postmill-dependents": true}''
                  where queued.msg_id = any (array(select msg_id from present))
                    and coalesce(jsonb_typeof(queued.headers), ''object'') = ''object''
             )
             select array(select msg_id from present),
                    array(select msg_id from present
                          where jsonb_typeof(headers) = ''object'' and not headers ? ''postmill-dependents'')',
            relation)
        into present, unmarked using ids;
    end if;
    if unmarked <> '{}' then
        update postmill.edges as edge set source_id = -edge.source_id, died = false
        where edge.source_queue = queue and edge.source_id = any (unmarked) and edge.told;
    end if;
    return present;
end
$$;
