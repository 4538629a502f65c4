-- Frees places in groups that name a claim which is gone, or does not list the message any more. Returns how many.
-- Called by sweep_gates. Locks: gates (skipping locked ones); what is locked is looked at again in a statement of its
-- own. Errors: none.
create or replace function postmill._free_places(queue text, max_rows integer) returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    ids   bigint[];
    freed bigint;
begin
    ids := array(
        select gate.msg_id from postmill.gates as gate
        where gate.queue_name = lower(queue) and gate.claim_id is not null and not exists (
            select from postmill.claims as claim
            where claim.claim_id = gate.claim_id and gate.msg_id = any (claim.msg_ids) offset 0)
        limit max_rows
        for update of gate skip locked);
    update postmill.gates as gate set claim_id = null, rank = clock_timestamp()
    where gate.queue_name = lower(queue) and gate.msg_id = any (ids) and not exists (
        select from postmill.claims as claim
        where claim.claim_id = gate.claim_id and gate.msg_id = any (claim.msg_ids) offset 0);
    get diagnostics freed = row_count;
    return freed;
end
$$;
