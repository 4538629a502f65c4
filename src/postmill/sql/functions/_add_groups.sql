-- Makes the rows of those of these groups that have none. Of as many groups as there are names, and as many again, from
-- the first one of them on, it knows by one walk: an insert that finds a row costs ten times as much as a step of that.
-- Called by _make_groups, _mend_gates, _open and _tidy_groups. Lock order: new rows of groups in order of their keys.
-- Errors: none.
create or replace function postmill._add_groups(queue text, keys text[]) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
    with named as materialized (
        select distinct each.key collate "C" as key from unnest(keys) as each (key)
    )
    insert into postmill.groups (queue_name, group_key)
    select queue, missing.key
    from (select named.key from named
          except
          (select known.group_key from postmill.groups as known
           where known.queue_name = queue and known.group_key >= (select min(named.key) from named)
           order by known.group_key limit 2 * cardinality(keys))) as missing
    order by missing.key
    on conflict do nothing;  -- finds the others that are there, at half the cost of a look for each before
$$;
