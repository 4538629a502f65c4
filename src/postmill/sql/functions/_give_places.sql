-- Gives places in their groups to messages that run without one: they were claimed while nothing counted places in the
-- queue (see _counts_places). Claims that are made so while this runs keep their mark, and have their turn with the
-- next claim, as do those that a settlement has locked.
-- A message that ends in this moment leaves a place that names a claim which is gone: sweep_gates frees it.
-- Called by _pick_gated, which holds the rows of the groups that it counts: no other claim is under way there. Lock
-- order: gates in order of ids, claims (skipping locked ones). Errors: none.
create or replace function postmill._give_places(queue text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    relation  regclass;
    uncounted constant bigint[] := array(
        select claim.claim_id from postmill.claims as claim
        where claim.queue_name = queue and claim.without_places);
begin
    if uncounted = '{}' then
        return;
    end if;
    relation := postmill._queue_table(queue);
    execute format(
        'insert into postmill.gates (queue_name, group_key, rank, msg_id, claim_id)
         select lower($1), running.key, clock_timestamp(), held.msg_id, claim.claim_id
         from postmill.claims as claim
         cross join lateral unnest(claim.msg_ids, claim.read_cts) as held (msg_id, read_ct)
         cross join lateral (
             select coalesce(postmill._group_of(%2$s), '''') as key from %1$s as queued
             where queued.msg_id = held.msg_id and queued.read_ct = held.read_ct
               and queued.vt is distinct from postmill._parked_until() offset 0) as running
         where claim.claim_id = any ($2)
         order by held.msg_id
         on conflict (queue_name, msg_id) do nothing', relation, postmill._headers_of(relation))
    using queue, uncounted;
    update postmill.claims as claim set without_places = false
    where claim.claim_id = any (array(
        select c.claim_id from postmill.claims as c where c.claim_id = any (uncounted) for update skip locked));
end
$$;
