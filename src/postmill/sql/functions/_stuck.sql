-- Messages of a queue that could have run `longer` ago and are blocked by a source that will not end by itself: it is
-- dead and waits for its replay (`dead`), was cancelled (`cancelled`), or is in no queue any more (`gone`) and no
-- worker has looked after that. The first 1,000 blocked messages in order of ids are looked at. One row a source, at
-- most `most`. Called by the statement check_dependents. Takes no locks. Errors: none.
create or replace function postmill._stuck(queue text, longer interval, most integer)
returns table (msg_id bigint, source_queue text, source_id bigint, fate text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    source   record;
    relation regclass;
    present  bigint[];
begin
    for source in
        select edge.source_queue as name, array_agg(edge.source_id order by edge.source_id) as ids,
            array_agg(edge.target_id order by edge.source_id) as targets,
            array_agg(edge.died order by edge.source_id) as died
        from (select * from postmill.blocked as held_up
              where held_up.queue_name = lower(queue) order by held_up.msg_id limit 1000) as held_up
        join postmill.edges as edge on edge.target_queue = held_up.queue_name and edge.target_id = held_up.msg_id
        where held_up.due_at < clock_timestamp() - longer
        group by edge.source_queue
    loop
        relation := to_regclass(format('pgmq.%I', lower('q_' || source.name)));
        present := '{}';
        if relation is not null then
            execute format('select array(select msg_id from %s where msg_id = any ($1))', relation)
            into present using source.ids;
        end if;
        return query
        select edge.target, source.name, edge.id,
            case when not edge.died then 'gone'
                 when exists (select from postmill.cancellations as ended
                              where ended.queue_name = source.name and ended.msg_id = edge.id)
                 then 'cancelled' else 'dead' end
        from unnest(source.ids, source.targets, source.died) as edge (id, target, died)
        where edge.died or edge.id <> all (present)
        limit most;
    end loop;
end
$$;
