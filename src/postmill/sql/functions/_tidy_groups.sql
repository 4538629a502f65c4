-- Keeps one row in groups for each group that has messages or limits of its own: a claim finds the others by walking
-- over them. A row whose last starts still count for a rate limit stays. A group that is missing is one whose row was
-- removed while the transaction of a new message of it was open. Of many groups it looks at `max_rows`, those after the
-- key `lowest`.
-- Called by sweep_gates. Lock order: rows of groups (skipping locked ones); whether such a group has messages is asked
-- in a statement of its own after that; then new rows in order of their keys. Errors: none.
create or replace function postmill._tidy_groups(queue text, lowest text, max_rows integer) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    name constant text := lower(queue);
    rate constant interval := (select q.group_per from postmill.queues as q where q.queue_name = queue);
    keys text[];
begin
    keys := array(
        select g.group_key
        from (select known.group_key from postmill.groups as known
              where known.queue_name = name and known.group_key > lowest
              order by known.group_key limit max_rows) as near
        cross join lateral (
            select known.group_key from postmill.groups as known
            where known.queue_name = name and known.group_key = near.group_key
              and coalesce(known.max_running, known.starts) is null and known.tat <= clock_timestamp()
              and coalesce(known.recent[cardinality(known.recent)] + rate, '-infinity') <= clock_timestamp()
              and not exists (select from postmill.gates as gate where gate.queue_name = name
                              and gate.group_key = known.group_key and gate.claim_id is null offset 0)
              and not exists (select from postmill.gates as gate where gate.queue_name = name
                              and gate.group_key = known.group_key and gate.claim_id is not null offset 0)
              for update skip locked) as g);
    delete from postmill.groups as g
    where g.queue_name = name and g.group_key = any (keys)
      and not exists (select from postmill.gates as gate where gate.queue_name = name
                      and gate.group_key = g.group_key and gate.claim_id is null offset 0)
      and not exists (select from postmill.gates as gate where gate.queue_name = name
                      and gate.group_key = g.group_key and gate.claim_id is not null offset 0);
    with recursive waiting (group_key, steps) as (
        values (lowest collate "C", 0)
        union all
        select (select gate.group_key from postmill.gates as gate
                where gate.queue_name = name and gate.claim_id is null and gate.group_key > waiting.group_key
                order by gate.group_key limit 1), waiting.steps + 1
        from waiting where waiting.group_key is not null and waiting.steps < max_rows
    )
    select array_agg(waiting.group_key) into keys from waiting where waiting.group_key <> '';
    perform postmill._add_groups(name, keys);
end
$$;
