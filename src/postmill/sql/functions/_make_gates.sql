-- Makes gates for messages that are parked and wait for nothing, among `max_rows` rows of the queue from a random place
-- on: no statement of ours leaves such a message behind, a restore of some of the tables does. Returns how many.
-- Called by sweep_gates. Locks: as _park. Errors: none.
create or replace function postmill._make_gates(queue text, relation regclass, max_rows integer) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    lowest  bigint;
    highest bigint;
    ids     bigint[];
    keys    text[];
begin
    execute format('select min(msg_id), max(msg_id) from %s', relation) into lowest, highest;
    if highest - lowest >= max_rows then
        lowest := lowest + floor(random() * (highest - lowest - max_rows / 2));
    end if;
    execute format(
        'select array_agg(part.msg_id), array_agg(part.key)
         from (select q.msg_id, q.vt, coalesce(postmill._group_of(to_jsonb(q) -> ''headers''), '''') as key
               from %s as q where q.msg_id >= $2 order by q.msg_id limit $3) as part
         where part.vt = postmill._parked_until()
           and not exists (select from postmill.gates as gate
                           where gate.queue_name = $1 and gate.msg_id = part.msg_id offset 0)
           and not exists (select from postmill.blocked as held
                           where held.queue_name = $1 and held.msg_id = part.msg_id offset 0)', relation)
    into ids, keys using queue, lowest, max_rows;
    if ids is null then
        return 0;
    end if;
    perform postmill._park(queue, ids, keys, array_fill(clock_timestamp(), array[cardinality(ids)]));
    return cardinality(ids);
end
$$;
