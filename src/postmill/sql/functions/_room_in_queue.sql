-- How many more messages of a queue with limits may start now, at most `wanted`: as many as there are places free, and
-- as its rate allows. `again_at`: when the rate allows the next one, if it allows none. Null when another session is
-- counting.
-- The row of groups with the key '' is the mutex; what runs is counted in a statement of its own after it was locked.
-- It is counted by way of the claims from `oldest` on: among the gates of a whole queue that name a claim, those that
-- are gone stand between the others, and an old transaction keeps them there. A message that runs without a gate was
-- claimed before the queue had limits, and counts as well.
-- Called by claim_gated. Locks: that row of groups (skipping a locked one). Errors: none.
create or replace function postmill._room_in_queue(
    queue text, relation regclass, limits postmill.queues, wanted integer, oldest bigint,
    out room integer, out again_at timestamptz
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    mutex postmill.groups;
    runs  integer;
begin
    insert into postmill.groups (queue_name, group_key)
    select lower(queue), ''
    where not exists (
        select from postmill.groups as known where known.queue_name = lower(queue) and known.group_key = '')
    on conflict do nothing;
    select known.* into mutex from postmill.groups as known
    where known.queue_name = lower(queue) and known.group_key = '' for update skip locked;
    if not found then
        return;
    end if;
    room := wanted;
    if limits.max_running is not null then
        execute format(
            'select count(*)
             from postmill.claims as claim
             cross join lateral unnest(claim.msg_ids, claim.read_cts) as held (msg_id, read_ct)
             left join lateral (
                 select gate.claim_id from postmill.gates as gate
                 where gate.queue_name = lower($1) and gate.msg_id = held.msg_id
                 offset 0  -- id by id: joined as a whole, it may cost a walk through all gates
             ) as gate on true
             where claim.claim_id >= $2 and claim.queue_name = $1
               and (gate.claim_id = claim.claim_id
                    or exists (select from %s as q
                               where q.msg_id = held.msg_id and q.read_ct = held.read_ct
                                 and q.vt is distinct from postmill._parked_until() offset 0))',
            relation)
        into runs using queue, oldest;
        room := least(room, limits.max_running - runs);
    end if;
    if limits.starts is not null and room > 0 then
        select allowed.granted, case when allowed.granted = 0 then allowed.again_at end into room, again_at
        from postmill._allowed_starts(
            mutex.recent, mutex.tat, clock_timestamp(), room, limits.starts, limits.per) as allowed;
    end if;
end
$$;
