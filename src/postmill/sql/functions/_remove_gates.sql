-- Removes gates whose message is gone, among `max_rows` from a random place on. Returns how many.
-- Called by sweep_gates. Locks: as _mend_gates. Errors: none.
create or replace function postmill._remove_gates(queue text, relation regclass, max_rows integer) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    lowest  bigint := (select min(gate.msg_id) from postmill.gates as gate where gate.queue_name = queue);
    highest bigint := (select max(gate.msg_id) from postmill.gates as gate where gate.queue_name = queue);
    ids     bigint[];
begin
    if highest - lowest >= max_rows then
        lowest := lowest + floor(random() * (highest - lowest - max_rows / 2));
    end if;
    execute format(
        'select array(
             select part.msg_id
             from (select gate.msg_id, gate.claim_id from postmill.gates as gate
                   where gate.queue_name = $1 and gate.msg_id >= $2 order by gate.msg_id limit $3) as part
             where part.claim_id is null
               and not exists (select from %s as q where q.msg_id = part.msg_id offset 0))', relation)
    into ids using queue, lowest, max_rows;
    return case when ids = '{}' then 0 else postmill._mend_gates(queue, relation, ids) end;
end
$$;
