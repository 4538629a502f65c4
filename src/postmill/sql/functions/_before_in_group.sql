-- How many messages of a message's group start before it, in words, counted up to 100; null when none does.
-- The order of the index is kept whatever the statistics say: a sort would read all that wait.
-- Called by _waits_for and why. Takes no locks. Errors: none.
create or replace function postmill._before_in_group(queue text, msg_id bigint, group_key text, rank timestamptz)
returns text
language sql stable
set search_path = pg_catalog, pg_temp
set jit = off
set enable_sort = off
set enable_seqscan = off
set enable_bitmapscan = off
as $$
    select 'behind ' || case when before > 100 then 'more than 100' else before::text end
        || case when before = 1 then ' other' else ' others' end
        || case when group_key = '' then '' else ' of group ' || group_key end
    from (
        select count(*) as before
        from (select from postmill.gates as gate
              where gate.queue_name = lower(queue)
                and gate.group_key = _before_in_group.group_key and gate.claim_id is null
                and (gate.rank, gate.msg_id) < (_before_in_group.rank, _before_in_group.msg_id)
              order by gate.rank, gate.msg_id limit 101) as earlier
    ) as counted
    where before > 0;
$$;
