-- What the function why says, unordered: `place` is a cause's place among all others. That no worker has looked yet is
-- always the last, and holds when there is no other. A table that is locked against reading is not read: the look
-- would wait as everybody does.
-- Called by why. Takes no locks. Errors: PM001.
create or replace function postmill._causes(queue text, msg_id bigint)
returns table (place integer, cause text, said text, until timestamptz, detail jsonb)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
    relation  constant regclass := postmill._named_table(queue);
    is_parked boolean;
    message   record;
    gate      record;
begin
    return query
    select 1, 'table_locked', holder.said, null::timestamptz, holder.detail
    from postmill._table_lockers(relation) as holder;
    if exists (select from postmill._table_lockers(relation) as holder where holder.shuts) then
        return;
    end if;
    -- A table of an older pgmq has no last_read_at.
    execute format(
        'select queued.msg_id, queued.read_ct, queued.enqueued_at, queued.vt, queued.xmax::text as locker,
             queued.message,
             %s as last_read_at
         from %s as queued where queued.msg_id = $1',
        case when exists (
            select from pg_attribute as known
            where known.attrelid = relation and known.attname = 'last_read_at' and not known.attisdropped)
            then 'queued.last_read_at' else 'null::timestamptz' end, relation)
    into message using msg_id;
    if message.msg_id is null then
        return query
        select 2, held.cause, held.said, null::timestamptz, held.detail
        from postmill._laid_aside(queue, _causes.msg_id) as held;
        if found then
            return;
        end if;
        return query
        select 2, found.* from postmill._whereabouts(queue, relation, _causes.msg_id) as found;
        return;
    elsif message.vt > statement_timestamp() then
        return query
        select 2, held.* from postmill._held_by(queue, _causes.msg_id, message.read_ct, message.vt) as held;
        if found then
            return;
        end if;
    end if;
    is_parked := message.vt = postmill._parked_until();
    select waiting.group_key, waiting.rank into gate
    from postmill.gates as waiting
    where is_parked and waiting.queue_name = lower(queue) and waiting.msg_id = _causes.msg_id
      and waiting.claim_id is null;
    return query
    select 10, 'dependency', sources.said, null::timestamptz, postmill._sources(queue, _causes.msg_id)
    from postmill._sources_left(queue, _causes.msg_id) as sources (said)
    where sources.said is not null;
    if not (found and is_parked) then  -- while it is parked for others, its time says nothing
        return query
        select 11, time.cause, time.said, own.at, jsonb_build_object(
            'read_ct', message.read_ct, 'last_read_at', message.last_read_at)
        from (select case when is_parked then coalesce(gate.rank, message.vt) else message.vt end) as own (at)
        cross join lateral postmill._time_to_come(
            queue, _causes.msg_id, message.read_ct, message.enqueued_at, message.last_read_at, own.at) as time
        where time.cause is not null;
    end if;
    return query
    select 12, 'row_locked', holder.said, null::timestamptz, holder.detail
    from postmill._row_locker(message.locker) as holder;
    return query
    select case held.cause when 'paused' then 13 when 'slots_taken' then 18 else 16 end, held.cause,
        held.said || coalesce(' since ' || postmill._moment(last.heard), ''), null::timestamptz,
        held.detail || coalesce(to_jsonb(last), '{}')
    from postmill._queue_held_up(queue) as held
    left join lateral postmill._last_worker(queue) as last on held.cause = 'no_worker';
    return query
    select 13, 'run_paused', format('its run %s does not go on: %s', run.run_id, run.reason), null::timestamptz,
        jsonb_build_object('run_id', run.run_id, 'reason', run.reason)
    from postmill._paused_run(queue, message.message) as run;
    if gate.group_key is not null then
        return query
        select case which.group_key when '' then 15 else 14 end, limited.cause, limited.said, limited.next_at,
            jsonb_build_object('group', nullif(gate.group_key, ''), 'holders', limited.holders)
        from (select gate.group_key union select '') as which (group_key)
        cross join lateral postmill._limit_reached(queue, which.group_key) as limited
        where limited.cause is not null;
        return query
        select 17, 'behind_others', earlier.said, null::timestamptz,
            jsonb_build_object('group', nullif(gate.group_key, ''))
        from postmill._before_in_group(queue, _causes.msg_id, gate.group_key, gate.rank) as earlier (said)
        where earlier.said is not null;
    elsif message.vt <= statement_timestamp() then
        return query
        select 19, 'behind_others', earlier.said, null::timestamptz, earlier.detail
        from postmill._before_in_queue(relation, _causes.msg_id) as earlier;
    end if;
    return query select 20, 'not_looked_yet', 'a worker has room and has not looked yet: it does within seconds',
        null::timestamptz, jsonb_build_object('ready_since', case when is_parked then gate.rank else message.vt end);
end
$$;
