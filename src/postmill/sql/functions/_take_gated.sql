-- Claims messages that have a place: their rows, one claim, and their gates, which name it; where nothing counts
-- places, the gates are gone with that, and the claim says so (see _give_places). See claim_gated for what comes back.
-- A row that is not parked any more, or is in another group, is not taken, nor is a locked one: `missed`.
-- No condition on gates names claim_id, and none on the queue's vt has an equals sign: where the planner takes a table
-- for empty, it would walk through an index of all that wait.
-- Called by claim_gated, which holds the rows of the groups. Lock order: queue rows (skipping locked ones), claims,
-- gates. Errors: 40001, when a gate that nothing but a bug could take away is gone.
create or replace function postmill._take_gated(
    queue text, relation regclass, ids bigint[], of_keys text[], at timestamptz, lease interval, max_bytes integer,
    worker_id uuid, has_headers boolean, has_last_read_at boolean, unread boolean,
    out claim_id bigint, out vt_us bigint, out msg_ids bigint[], out read_cts integer[], out enqueued_us bigint[],
    out messages text[], out headers text[], out failures integer[], out lost_leases integer[],
    out missed bigint[], out cut_short boolean
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_nestloop = off  -- it would compare each message with each that is wanted
as $$
declare
    seen     bigint[];
    arrivals timestamptz[];  -- an earlier failure is one of another message that had the id
    counted  constant boolean := postmill._counts_places(queue);
    places   bigint;
begin
    execute format($text$
with candidate as materialized (
    select had.msg_id, sum(had.stored) over (rows unbounded preceding) - had.stored as bytes_before
    from (select q.msg_id, coalesce(pg_column_size(q.message), 0) as stored, %4$s as key from %1$s as q
          where q.msg_id = any ($1::bigint[]) and q.vt is not distinct from postmill._parked_until()
            for update skip locked) as had
    join unnest($1::bigint[], $2::text[]) as wanted (msg_id, key) on wanted.msg_id = had.msg_id and wanted.key = had.key
),
claimed as (
    update %1$s as q
       set vt = $3::timestamptz + $4::interval, read_ct = least(q.read_ct, 2147483646) + 1 %2$s
     where q.msg_id = any (array(select msg_id from candidate where bytes_before < $5::bigint))
    returning q.msg_id, q.read_ct, q.vt, q.enqueued_at, q.message, %5$s as headers
)
select (select array_agg(msg_id) from candidate), (select count(*) from candidate) > count(*),
       (extract(epoch from max(vt)) * 1000000)::bigint, array_agg(msg_id), array_agg(read_ct),
       array_agg(case when enqueued_at <= $3 then enqueued_at else '-infinity' end),
       array_agg((date_part('epoch', least(greatest(enqueued_at, '0001-01-02'), '9999-12-30')) * 1000000)::bigint),
       %3$s
  from claimed
$text$,
        relation,
        case when has_last_read_at then ', last_read_at = $3' end,
        case when unread then 'array_agg(''null''::text), null::text[]'
             else 'array_agg(coalesce(message::text, ''null'')),
                   case when count(headers) > 0 then array_agg(headers::text) end' end,
        case when has_headers then 'coalesce(left(q.headers ->> ''postmill-group'', 200), '''')' else '''''' end,
        case when has_headers then 'q.headers' else 'null::jsonb' end)
    into seen, cut_short, vt_us, msg_ids, read_cts, arrivals, enqueued_us, messages, headers
    using ids, of_keys, at, lease, max_bytes;
    missed := '{}';
    if seen is null or cardinality(seen) < cardinality(ids) then
        missed := array(select unnest(ids) except select unnest(seen));
    end if;
    if msg_ids is null then
        return;
    end if;
    -- These have plans that the session keeps: planned each time, they took a tenth of a claim of 100 messages.
    insert into postmill.claims (worker_id, queue_name, msg_ids, read_cts, without_places)
    values (_take_gated.worker_id, queue, _take_gated.msg_ids, _take_gated.read_cts, not counted)
    returning claims.claim_id into claim_id;
    if counted then
        update postmill.gates as gate set claim_id = _take_gated.claim_id
         where gate.queue_name = lower(queue) and gate.msg_id = any (_take_gated.msg_ids)
           and gate.msg_id between (select min(id) from unnest(_take_gated.msg_ids) as id)
                               and (select max(id) from unnest(_take_gated.msg_ids) as id);
    else
        delete from postmill.gates as gate
         where gate.queue_name = lower(queue) and gate.msg_id = any (_take_gated.msg_ids)
           and gate.msg_id between (select min(id) from unnest(_take_gated.msg_ids) as id)
                               and (select max(id) from unnest(_take_gated.msg_ids) as id);
    end if;
    get diagnostics places = row_count;
    if places < cardinality(msg_ids) then
        raise exception 'a message of queue % has no place in its group', quote_literal(queue)
            using errcode = 'serialization_failure', hint = 'It is tried again.';
    end if;
    if 1 < any (read_cts) then
        execute $text$select
--+ counted_failures
          from unnest($1, $2, $3) as claimed (msg_id, read_ct, since)$text$
        into failures, lost_leases using msg_ids, read_cts, arrivals, null, queue;
    end if;
end
$$;
