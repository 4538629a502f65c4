-- A key of a group from which to walk through groups in order of keys: now the first one, now that of some message.
-- Called by sweep_gates. Takes no locks. Errors: none.
create or replace function postmill._any_group(queue text) returns text
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
    with place as materialized (
        select min(gate.msg_id) + floor(random() * (max(gate.msg_id) - min(gate.msg_id) + 1)) as msg_id,
               random() as chance
        from postmill.gates as gate where gate.queue_name = queue
    )
    select coalesce((
        select gate.group_key from postmill.gates as gate
        where gate.queue_name = queue and gate.msg_id >= (select place.msg_id::bigint from place)
          and (select place.chance < 0.7 from place)
        order by gate.msg_id limit 1), '');
$$;
