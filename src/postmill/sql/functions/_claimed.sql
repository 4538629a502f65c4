-- Which worker holds what in a queue, one row a message. A message is running when a row has its read_ct and its vt is
-- in the future; other rows are of claims that ended without being cleared.
-- Called by _running, _few_ids, _in_queue and the statement testing_make_due. Takes no locks. Errors: none.
create or replace function postmill._claimed(queue text)
returns table (msg_id bigint, read_ct integer, worker_id uuid)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select held.msg_id, held.read_ct, claim.worker_id
    from postmill.claims as claim
    cross join lateral unnest(claim.msg_ids, claim.read_cts) as held (msg_id, read_ct)
    where claim.queue_name = queue;
$$;
