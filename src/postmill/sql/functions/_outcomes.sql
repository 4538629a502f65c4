-- How messages have ended, for a client that waits for them. `fate`: pending (not ended), completed (with its result),
-- archived (completed, and no result was kept), dead (with its letter, without payload and headers), cancelled (with
-- the reason and who asked), unknown (nothing is kept about it), or no queue. All is read in one snapshot, so an end
-- under way is seen whole or not at all. A message that has left its queue while an open claim names it may be settled
-- in two steps (see close_claims): it is pending until the claim says otherwise. What is kept of an earlier queue of
-- the same name is older than the message. Called by the statement client_outcomes. Takes no locks. Errors: none.
create or replace function postmill._outcomes(queue text, ids bigint[])
returns table (msg_id bigint, fate text, result jsonb, letter jsonb)
language plpgsql stable
set search_path = ''
as $$
#variable_conflict use_column
declare
    relation constant regclass := to_regclass(format('pgmq.%I', lower('q_' || queue)));
    archive  constant regclass := to_regclass(format('pgmq.%I', lower('a_' || queue)));
begin
    if relation is null then
        return query select id, 'no queue', null::jsonb, null::jsonb from unnest(ids) as id;
        return;
    end if;
    return query execute format(
        'select asked.id,
             case when (select true from %s where msg_id = asked.id) then ''pending''
                  when coalesce(found.fate, ''archived'') = ''archived''
                       and exists (select from postmill.claims where queue_name = $1 and asked.id = any (msg_ids))
                  then ''pending''
                  else coalesce(found.fate, ''unknown'') end,
             found.result, found.letter
         from unnest($2) as asked (id)
         left join lateral (
             select ''completed'' as fate, completed_at as at, result, null::jsonb as letter
             from postmill.results where queue_name = $1 and msg_id = asked.id
             union all
             select ''dead'', died_at, null, to_jsonb(dead) - ''{message,headers}''::text[]
             from postmill.dead_letters as dead where queue_name = $1 and msg_id = asked.id
             union all
             select ''cancelled'', cancelled_at, null,
                 jsonb_build_object(''reason'', reason, ''requested_by'', requested_by)
             from postmill.cancellations where queue_name = $1 and msg_id = asked.id and cancelled_at is not null
             %s
             order by at desc limit 1
         ) as found on true',
        relation,
        case when archive is not null then format(
            'union all select ''archived'', enqueued_at, null, null from %s where msg_id = asked.id', archive) end)
    using queue, ids;
end
$$;
