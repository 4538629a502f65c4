-- How many more messages of a queue with a limit may run, at most `wanted`; null when another session is counting.
-- The row of groups with the key '' is the mutex; what runs is counted in a statement of its own after it was locked.
-- It is counted by way of the claims from `oldest` on: among the gates of a whole queue that name a claim, those that
-- are gone stand between the others, and an old transaction keeps them there.
-- Called by claim_gated. Locks: that row of groups (skipping a locked one). Errors: none.
create or replace function postmill._room_in_queue(
    queue text, wanted integer, max_running integer, oldest bigint
) returns integer
language plpgsql volatile
set search_path = ''
as $$
begin
    insert into postmill.groups (queue_name, group_key)
    select lower(queue), ''
    where not exists (
        select from postmill.groups as known where known.queue_name = lower(queue) and known.group_key = '')
    on conflict do nothing;
    perform from postmill.groups as mutex
    where mutex.queue_name = lower(queue) and mutex.group_key = '' for update skip locked;
    if not found then
        return null;
    elsif max_running is null then
        return wanted;
    end if;
    return least(wanted, max_running - (
        select count(*)
        from postmill.claims as claim
        cross join lateral unnest(claim.msg_ids) as held (msg_id)
        cross join lateral (
            select from postmill.gates as gate
            where gate.queue_name = lower(queue) and gate.msg_id = held.msg_id and gate.claim_id = claim.claim_id
            offset 0  -- id by id: joined as a whole, it may cost a walk through all gates
        ) as gate
        where claim.claim_id >= oldest and claim.queue_name = queue));
end
$$;
