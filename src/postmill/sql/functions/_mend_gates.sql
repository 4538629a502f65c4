-- Mends those of these messages' gates that name no claim and could not be taken. Removed is the gate of a message that
-- is not parked any more: another client has finished or leased it, or dropped the queue. A message that is parked in
-- another group by now is put there. One that is parked, but locked by a session, is put off for a second, so that
-- those behind it need not wait. Returns how many were removed.
-- Each gate is locked first, and looked at in a statement of its own after that: whatever parks the message again
-- meanwhile has written its row, and waits for the gate, which it then makes anew.
-- Called by claim_gated and sweep_gates. Lock order: gates (skipping locked ones), new rows of groups. Errors: none.
create or replace function postmill._mend_gates(queue text, relation regclass, among bigint[]) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    ids     bigint[];
    removed bigint;
begin
    ids := array(select gate.msg_id from postmill.gates as gate
                 where gate.queue_name = queue and gate.msg_id = any (among)
                   and coalesce(gate.claim_id, 0) = 0  -- not by the index of those that wait
                   for update skip locked);
    execute format(
        'delete from postmill.gates as gate
         where gate.queue_name = $1 and gate.msg_id = any ($2) and not exists (
               select from %s as q
                where q.msg_id = gate.msg_id and q.vt is not distinct from postmill._parked_until() offset 0)',
        relation)
    using queue, ids;
    get diagnostics removed = row_count;
    if removed = cardinality(ids) then
        return removed;
    end if;
    execute format(
        'update postmill.gates as gate
         set group_key = parked.key, rank = greatest(gate.rank, clock_timestamp() + interval ''1 second'')
         from unnest($2) as named (msg_id)
         cross join lateral (
             select coalesce(postmill._group_of(to_jsonb(q) -> ''headers''), '''') as key from %s as q
             where q.msg_id = named.msg_id offset 0) as parked
         where gate.queue_name = $1 and gate.msg_id = named.msg_id', relation)
    using queue, ids;
    perform postmill._add_groups(queue, array(
        select gate.group_key from postmill.gates as gate where gate.queue_name = queue and gate.msg_id = any (ids)));
    return removed;
end
$$;
