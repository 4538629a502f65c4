-- Takes a message out of the claim that names it, so that it does not run for anybody any more. A claim without
-- messages is gone.
-- Called by _succeed and _fail, which hold the message's row. Locks: the claim. Errors: none.
create or replace function supaqueue._leave_claim(claim_id bigint, msg_id bigint) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    update postmill.claims as claim
    set (msg_ids, read_cts) = (
        select coalesce(array_agg(held.id order by held.place), '{}'),
               coalesce(array_agg(held.read_ct order by held.place), '{}')
        from unnest(claim.msg_ids, claim.read_cts) with ordinality as held (id, read_ct, place)
        where held.id <> _leave_claim.msg_id)
    where claim.claim_id = _leave_claim.claim_id;
    delete from postmill.claims as claim where claim.claim_id = _leave_claim.claim_id and claim.msg_ids = '{}';
$$;
revoke execute on function supaqueue._leave_claim from public;
comment on function supaqueue._leave_claim is 'Facade supaqueue of Postmill: takes a message out of its claim.';
