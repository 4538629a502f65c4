-- Makes the rows of those of these groups that have none.
-- Called by _make_groups, _mend_gates, _open and _tidy_groups. Lock order: new rows of groups in order of their keys.
-- Errors: none.
create or replace function postmill._add_groups(queue text, keys text[]) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
    insert into postmill.groups (queue_name, group_key)
    select queue, named.key
    from (select distinct each.key collate "C" as key from unnest(keys) as each (key)) as named
    order by named.key
    on conflict do nothing;  -- which finds those that are there at half the cost of a look for each before
$$;
