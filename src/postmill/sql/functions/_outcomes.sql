-- How messages have ended, for a client that waits for them. `fate`: pending (not ended), completed (with its result),
-- archived (completed, and no result was kept), dead (with its letter, without payload and headers), cancelled (with
-- the reason and who asked), unknown (nothing is kept about it), or no queue. All is read in one snapshot, so an end
-- under way is seen whole or not at all. A message that has left its queue while an open claim names it may be settled
-- in two steps (see close_claims): it is pending until the claim says otherwise. What is kept of an earlier queue of
-- the same name is older than the message. Called by the statement client_outcomes. Takes no locks. Errors: none.
create or replace function postmill._outcomes(queue text, ids bigint[])
returns table (msg_id bigint, fate text, result jsonb, letter jsonb)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_variable
declare
    relation constant regclass := to_regclass(format('pgmq.%I', lower('q_' || queue)));
    archive  constant regclass := to_regclass(format('pgmq.%I', lower('a_' || queue)));
    there    bigint[];
    gone     bigint[];
    done     bigint[];
    sent_at  timestamptz[];
begin
    if relation is null then
        return query select id, 'no queue', null::jsonb, null::jsonb from unnest(ids) as id;
        return;
    end if;
    execute format('select array(select msg_id from %s where msg_id = any ($1))', relation) into there using ids;
    return query select id, 'pending', null::jsonb, null::jsonb from unnest(there) as id;
    gone := array(select id from unnest(ids) as id where id <> all (there));
    if gone = '{}' then
        return;
    end if;
    if archive is not null then
        execute format('select array_agg(msg_id), array_agg(enqueued_at) from %s where msg_id = any ($1)', archive)
        into done, sent_at using gone;
    end if;
    return query
    select asked.id,
        case when coalesce(found.fate, 'archived') = 'archived'
                  and exists (select from postmill.claims where queue_name = queue and asked.id = any (msg_ids))
             then 'pending'
             else coalesce(found.fate, 'unknown') end,
        found.result, found.letter
    from unnest(gone) as asked (id)
    left join lateral (
        select 'completed' as fate, kept.completed_at as at, kept.result, null::jsonb as letter
        from postmill.results as kept where kept.queue_name = queue and kept.msg_id = asked.id
        union all
        select 'dead', dead.died_at, null, to_jsonb(dead)
        -- Without the payload: whoever may wait for the end of a message need not have the right to read it.
        from (select letter_id, queue_name, dead_letters.msg_id, read_ct, enqueued_at, attempts, kind, reason,
                  error_type, traceback, died_at, replayed_at, replayed_as, replayed_by
              from postmill.dead_letters) as dead
        where dead.queue_name = queue and dead.msg_id = asked.id
        union all
        select 'cancelled', request.cancelled_at, null,
            jsonb_build_object('reason', request.reason, 'requested_by', request.requested_by)
        from postmill.cancellations as request
        where request.queue_name = queue and request.msg_id = asked.id and request.cancelled_at is not null
        union all
        select 'archived', archived.at, null, null
        from unnest(done, sent_at) as archived (id, at) where archived.id = asked.id
        order by at desc limit 1
    ) as found on true;
end
$$;
