-- Makes the rows of groups that the gates of new messages name, those above the id `unseen`. `seen`: the id up to which
-- it has looked; `is_all`: there are no more. A claim makes them, and no sender: a claim's transaction is short, while
-- two senders that made the rows of two new groups could wait for each other.
-- Called by claim_gated. Lock order: new rows of groups in order of their keys. Errors: none.
create or replace function postmill._make_groups(queue text, unseen bigint, out seen bigint, out is_all boolean)
language sql volatile
set search_path = ''
as $$
    with arrived as materialized (
        select gate.msg_id, gate.group_key from postmill.gates as gate
        where gate.queue_name = queue and gate.msg_id > unseen
        order by gate.msg_id limit 20000  -- takes about 10 ms
    ), made as (
        insert into postmill.groups (queue_name, group_key)
        select queue, arrived.group_key from (select distinct group_key from arrived) as arrived
        where not exists (select from postmill.groups as known
                          where known.queue_name = queue and known.group_key = arrived.group_key)
        order by arrived.group_key
        on conflict do nothing
    )
    select coalesce(max(arrived.msg_id), unseen), count(*) < 20000 from arrived;
$$;
