-- Sends messages that ask for more than their delivery, and returns each one's id in the order of `messages`;
-- `existed`: its key was taken, and the id is that of the message that holds it. As with pgmq, the queue's name may be
-- in other letters: limits, groups and keys are those of the name that the queue has.
-- The queue's table is locked before ids are drawn: a worker that sees an id given out must see its transaction too.
-- A message with a group, of a queue with limits, or with sources to wait for is parked: it has its final id, and a
-- row in gates or blocked says what it waits for.
-- Called by send and send_jobs, which have checked the arguments. Runs with the caller's rights. Lock order: the
-- queue's table (ROW EXCLUSIVE), unique_keys in order of the keys, new rows only after that. Errors: PM001, PM003,
-- PM004, PM007.
create or replace function postmill._send(
    queue text, messages jsonb[], due_at timestamptz, headers jsonb[],
    unique_keys text[], unique_for interval, on_conflict text, after jsonb[], on_source_dead text
) returns table (msg_id bigint, existed boolean)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    relation constant regclass := postmill._queue_table(queue);
    sequence constant regclass := pg_get_serial_sequence(relation::text, 'msg_id');
    no_group text;       -- of a message without a group: '' in a queue with limits
    ids      bigint[];
    held     boolean[];  -- by place: its key was taken; null while none was
    taken_place bigint;
    taken_id    bigint;
    groups   text[];     -- by place, then of those that are gated
    gated    bigint[];
begin
    queue := postmill._queue_name_of(queue);
    if not postmill._has_headers() then
        perform postmill._refuse_headers();
    end if;
    execute format('lock table %s in row exclusive mode', relation);
    select '' into no_group from postmill.queues where queue_name = queue and num_nonnulls(max_running, starts) > 0;
    select array_agg(nextval(sequence)),
           array_agg(case when header ? 'postmill-group' then coalesce(postmill._group_of(header), no_group)
                     else no_group end)
    into ids, groups
    from unnest(headers) as header;
    if unique_keys is not null then
        for taken_place, taken_id in
            select * from postmill._take_keys(queue, unique_keys, ids, unique_for, on_conflict)
        loop
            held := coalesce(held, array_fill(false, array[cardinality(ids)]));
            ids[taken_place] := taken_id;
            held[taken_place] := true;
        end loop;
    end if;
    if groups = array_fill(null::text, array[cardinality(groups)]) then
        groups := null;
    end if;
    -- Ids ascend with the place, except those of messages that are not inserted. It is planned each time, so it names
    -- no more than this batch has.
    execute format(
        'insert into %s (msg_id, vt, message, headers) overriding system value
         select sent.id, %s, sent.message, sent.headers
         from (select unnest($1) as id, unnest($2) as message, unnest($3) as headers%s%s%s) as sent%s',
        relation,
        case when num_nonnulls(after, groups) > 0
             then format('case when %s then $5 else $6 end', concat_ws(
                 ' and ', case when after is not null then 'sent.after is null' end,
                 case when groups is not null then 'sent.group_key is null' end))
             else '$5' end,
        case when held is not null then ', unnest($4) as held' end,
        case when after is not null then ', unnest($7) as after' end,
        case when groups is not null then ', unnest($8) as group_key' end,
        case when held is not null then ' where sent.held is not true' end)
    using ids, messages, headers, held, due_at, postmill._parked_until(), after, groups;
    if groups is not null then
        select array_agg(sent.id), array_agg(sent.group_key)
        into gated, groups
        from unnest(ids, groups, held, after) as sent (id, group_key, held, after)
        where sent.held is not true and sent.after is null and sent.group_key is not null;
    end if;
    if gated is not null then
        perform postmill._park(queue, gated, groups, array_fill(due_at, array[cardinality(gated)]));
        perform postmill._wake_for(queue, due_at);
    end if;
    if after is not null then
        perform postmill._block(
            queue, ids, array(select case when sent.held is not true then sent.after end
                              from unnest(held, after) with ordinality as sent (held, after, place) order by place),
            due_at, on_source_dead);
    end if;
    if on_conflict = 'replace' and true = any (held) then
        perform postmill._replace(
            queue, replaced.ids, replaced.messages, replaced.headers, due_at)
        from (select array_agg(sent.id) as ids, array_agg(sent.message) as messages, array_agg(sent.headers) as headers
              from (select distinct on (id) id, message, headers
                    from unnest(ids, messages, headers, held) with ordinality
                        as sent (id, message, headers, held, place)
                    where held order by id, place desc) as sent) as replaced;
    end if;
    return query select sent.id, coalesce(sent.held, false) from (select unnest(ids), unnest(held)) as sent (id, held);
end
$$;
