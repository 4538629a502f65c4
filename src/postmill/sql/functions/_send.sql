-- Sends messages that ask for more than their delivery, and returns each one's id in the order of `messages`;
-- `existed`: its key was taken, and the id is that of the message that holds it.
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
set search_path = ''
as $$
#variable_conflict use_column
declare
    relation constant regclass := postmill._queue_table(queue);
    sequence constant text := pg_get_serial_sequence(relation::text, 'msg_id');
    no_group text;       -- of a message without a group: '' in a queue with limits
    ids      bigint[];
    held     boolean[];  -- by place: its key was taken
    taken_place bigint;
    taken_id    bigint;
    groups   text[];     -- by place, then of those that are gated
    gated    bigint[];
begin
    if not postmill._has_headers() then
        perform postmill._refuse_headers();
    end if;
    execute format('lock table %s in row exclusive mode', relation);
    select '' into no_group from postmill.queues where queue_name = queue and num_nonnulls(max_running, starts) > 0;
    select array_agg(nextval(sequence)), array_agg(false) into ids, held from generate_series(1, cardinality(messages));
    if unique_keys is not null then
        for taken_place, taken_id in
            select * from postmill._take_keys(lower(queue), unique_keys, ids, unique_for, on_conflict)
        loop
            ids[taken_place] := taken_id;
            held[taken_place] := true;
        end loop;
    end if;
    groups := array(
        select case when header ? 'postmill-group' then coalesce(postmill._group_of(header), no_group) else no_group end
        from unnest(headers) as header);
    -- Ids ascend with the place, except those of messages that are not inserted.
    execute format(
        'insert into %s (msg_id, vt, message, headers) overriding system value
         select sent.id, case when sent.after is null and sent.group_key is null then $5 else $6 end, sent.message,
             sent.headers
         from unnest($1, $2, $3, $4, $7, $8) as sent (id, message, headers, held, after, group_key)
         where not sent.held',
        relation)
    using ids, messages, headers, held, due_at, postmill._parked_until(), after, groups;
    if groups is distinct from array_fill(null::text, array[cardinality(groups)]) then
        select array_agg(sent.id), array_agg(sent.group_key)
        into gated, groups
        from unnest(ids, groups, held, after) as sent (id, group_key, held, after)
        where not sent.held and sent.after is null and sent.group_key is not null;
    end if;
    if gated is not null then
        perform postmill._park(queue, gated, groups, array_fill(due_at, array[cardinality(gated)]));
        perform postmill._wake_for(queue, due_at);
    end if;
    if after is not null then
        perform postmill._block(
            queue, ids, array(select case when not sent.held then sent.after end
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
    return query select sent.id, sent.held
    from unnest(ids, held) with ordinality as sent (id, held, place) order by sent.place;
end
$$;
