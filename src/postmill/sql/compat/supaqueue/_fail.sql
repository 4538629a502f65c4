-- Ends an attempt of a job that runs as a failed one: it waits for a worker again. The worker that takes it next counts
-- its attempts, and lets it die when they are used up.
-- Called by _end_current_job. Locks as return_claim, then the claim. Errors: PM005 another session has the job's row.
create or replace function supaqueue._fail(queue_name text, msg_id bigint, claim_id bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    claim    postmill.claims;
    returned bigint[];
begin
    select * into claim from postmill.claims as row where row.claim_id = _fail.claim_id;
    returned := postmill.return_claim(
        queue_name, claim.worker_id, array[msg_id], array[claim.read_cts[array_position(claim.msg_ids, msg_id)]],
        claim.claimed_at, 'error', 'end_current_job said that it failed');
    if coalesce(returned, '{}') = '{}' then
        raise exception 'the job has ended meanwhile, or another session has it'
            using errcode = 'PM005', hint = 'Look at its status, and call end_current_job again if it runs.';
    end if;
    perform supaqueue._leave_claim(claim_id, msg_id);
end
$$;
revoke execute on function supaqueue._fail from public;
comment on function supaqueue._fail is 'Facade supaqueue of Postmill: ends an attempt of a job as a failed one.';
