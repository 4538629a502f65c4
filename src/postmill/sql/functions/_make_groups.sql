-- Makes the rows of groups that the gates of new messages name, those above the id `unseen`. `seen`: the id up to which
-- it has looked; `is_all`: there are no more. A claim makes them, and no sender: a claim's transaction is short, while
-- two senders that made the rows of two new groups could wait for each other.
-- Called by claim_gated. Lock order: new rows of groups in order of their keys. Errors: none.
create or replace function postmill._make_groups(queue text, unseen bigint, out seen bigint, out is_all boolean)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    keys text[];
begin
    select coalesce(max(named.last_id), unseen), coalesce(sum(named.messages), 0) < 20000, array_agg(named.group_key)
    into seen, is_all, keys
    from (select arrived.group_key, max(arrived.msg_id) as last_id, count(*) as messages
          from (select gate.msg_id, gate.group_key from postmill.gates as gate
                where gate.queue_name = queue and gate.msg_id > unseen
                order by gate.msg_id limit 20000) as arrived  -- takes about 10 ms
          group by arrived.group_key) as named;
    if keys is not null then
        perform postmill._add_groups(queue, keys);
    end if;
end
$$;
