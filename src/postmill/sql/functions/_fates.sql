-- How messages that are not in their queue ended: completed, dead, cancelled, replayed (as `moved_to`) or unknown. What
-- another client has archived is completed. Unknown is what was deleted, or pruned, or never committed; but where
-- workers of the queue delete what they complete, that is completed. The archive comes first: it was dropped with the
-- queue, and letters may be left from a queue of the same name.
-- Called by _judge_sources. Takes no locks. Errors: none.
create or replace function postmill._fates(queue text, ids bigint[])
returns table (msg_id bigint, fate text, moved_to bigint)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    archive  constant regclass := to_regclass(format('pgmq.%I', 'a_' || queue));
    names    constant text[] := array(
        select meta.queue_name::text from pgmq.meta as meta where lower(meta.queue_name) = queue) || queue;
    archived bigint[] := '{}';
    deletes  constant boolean := exists (
        select from postmill.workers as worker where worker.queue_name = any (names) and worker.deletes);
begin
    if archive is not null then
        execute format('select array(select done.msg_id from %s as done where done.msg_id = any ($1))', archive)
        into archived using ids;
    end if;
    return query
    select source.id, coalesce(trace.fate, case when deletes then 'completed' else 'unknown' end), trace.moved_to
    from unnest(ids) as source (id)
    left join lateral (
        select 'infinity'::timestamptz as at, ended.fate, null::bigint as moved_to
        from postmill.ended where ended.queue_name = queue and ended.msg_id = source.id
        union all
        select '9999-01-01', 'completed', null where source.id = any (archived)
        union all
        select result.completed_at, 'completed', null
        from postmill.results as result where result.queue_name = any (names) and result.msg_id = source.id
        union all
        select letter.died_at, 'dead', null from postmill.dead_letters as letter
        where letter.queue_name = any (names) and letter.msg_id = source.id and letter.replayed_at is null
        union all
        select letter.replayed_at, 'replayed', letter.replayed_as from postmill.dead_letters as letter
        where letter.queue_name = any (names) and letter.msg_id = source.id and letter.replayed_at is not null
        union all
        select cancellation.cancelled_at, 'cancelled', null from postmill.cancellations as cancellation
        where cancellation.queue_name = any (names) and cancellation.msg_id = source.id
          and cancellation.cancelled_at is not null
        order by 1 desc limit 1
    ) as trace on true;
end
$$;
