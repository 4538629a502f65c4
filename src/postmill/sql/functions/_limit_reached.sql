-- Why no message of a group may start now: it is at its limit of running messages (`group_limit`, `queue_limit`), or of
-- starts in a period (`rate_limit`). The key '' asks for the whole queue. `said`: in words; `next_at`: when the rate
-- allows the next start; `holders`: messages that have the places. All are null when there is no such limit in the way.
-- Called by _waits_for, _held_up_groups and why. Takes no locks. Errors: none.
create or replace function postmill._limit_reached(
    queue text, group_key text, out cause text, out said text, out next_at timestamptz, out holders bigint[]
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set jit = off
set enable_sort = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
#variable_conflict use_column
declare
    is_queue boolean := group_key = '';
    whose    text := case when group_key = '' then 'queue ' || queue else 'group ' || group_key end;
    limits   record;
begin
    select case when is_queue then known.max_running else coalesce(own.max_running, known.group_max_running) end
               as max_running,
           case when is_queue then known.starts else coalesce(own.starts, known.group_starts) end as starts,
           case when is_queue then known.per
                when own.starts is not null then own.per else known.group_per end as per,
           own.recent, own.tat
    into limits
    from (select) as always
    left join postmill.queues as known on known.queue_name = lower(queue)
    left join postmill.groups as own on own.queue_name = lower(queue) and own.group_key = _limit_reached.group_key;
    if limits.max_running is not null then
        -- In the order of the index, so that no more are read than the limit allows.
        if is_queue then
            holders := array(
                select gate.msg_id from postmill.gates as gate
                where gate.queue_name = lower(queue) and gate.claim_id is not null
                order by gate.group_key, gate.claim_id limit limits.max_running);
        else
            holders := array(
                select gate.msg_id from postmill.gates as gate
                where gate.queue_name = lower(queue) and gate.group_key = _limit_reached.group_key
                  and gate.claim_id is not null
                order by gate.claim_id limit limits.max_running);
        end if;
        holders := array(select held.msg_id from unnest(holders) as held (msg_id) order by held.msg_id);
        if cardinality(holders) >= limits.max_running then
            cause := case when is_queue then 'queue_limit' else 'group_limit' end;
            said := whose || ' is at its limit of ' || to_char(limits.max_running, 'FM999,999,999') || ', held by '
                || case when cardinality(holders) <= 5 then array_to_string(holders, ', ')
                        else postmill._listed(holders) end;
            return;
        end if;
        holders := null;
    end if;
    if limits.starts is not null and limits.recent is not null then
        next_at := (postmill._allowed_starts(
            limits.recent, limits.tat, clock_timestamp(), 0, limits.starts, limits.per)).again_at;
        if next_at > clock_timestamp() then
            cause := 'rate_limit';
            said := format('rate limit: next start in %s (%s: %s in %s)',
                postmill._span(next_at - clock_timestamp()), whose, limits.starts, postmill._span(limits.per));
        else
            next_at := null;
        end if;
    end if;
end
$$;
