-- Deletes gates and groups of queues that are not there: another client has dropped them. At most `page` of each.
-- Called by prune. Locks: rows of gates, then groups. Errors: none.
create or replace function postmill._prune_gates(page integer) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    gone text[];
begin
    with recursive named as (
        (select gate.queue_name from postmill.gates as gate order by gate.queue_name limit 1)
        union all
        select (select gate.queue_name from postmill.gates as gate where gate.queue_name > named.queue_name
                order by gate.queue_name limit 1)
        from named where named.queue_name is not null
    ), grouped as (
        (select known.queue_name from postmill.groups as known order by known.queue_name limit 1)
        union all
        select (select known.queue_name from postmill.groups as known where known.queue_name > grouped.queue_name
                order by known.queue_name limit 1)
        from grouped where grouped.queue_name is not null
    )
    select array_agg(had.queue_name) into gone
    from (select named.queue_name from named union select grouped.queue_name from grouped) as had
    where to_regclass('pgmq.' || quote_ident('q_' || had.queue_name)) is null and had.queue_name is not null;
    if gone is null then
        return;
    end if;
    delete from postmill.gates as gate
    where (gate.queue_name, gate.msg_id) in (
        select g.queue_name, g.msg_id from postmill.gates as g where g.queue_name = any (gone) limit page);
    delete from postmill.groups as known
    where (known.queue_name, known.group_key) in (
        select g.queue_name, g.group_key from postmill.groups as g where g.queue_name = any (gone) limit page);
end
$$;
