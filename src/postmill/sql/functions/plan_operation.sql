-- Counts what an operation would be about, and does nothing. `upper_id` is what start_operation takes with it: then the
-- operation is about the same messages, whatever is sent meanwhile. `complete` is false where two seconds were not
-- enough to look at all: then there are more.
-- Called by people, the command line and dashboards. Takes no locks. Errors: PM001 no such queue, PM003.
create or replace function postmill.plan_operation(
    kind text, queue text, filter jsonb default '{}', target text default null
) returns table (matching bigint, upper_id bigint, complete boolean)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    letters constant boolean := kind in ('replay', 'discard');
    ends_at constant timestamptz := clock_timestamp() + interval '2 seconds';
    found   record;
    above   bigint := 0;
begin
    perform postmill._check_operation(kind, queue, filter, target);
    upper_id := postmill._last_id(queue, letters);
    matching := 0;
    while above < upper_id and clock_timestamp() < ends_at loop
        select * into found from postmill._matching(queue, letters, filter, above, upper_id, 10000);
        matching := matching + cardinality(found.ids);
        above := found.reached;
    end loop;
    complete := above >= upper_id;
    return next;
end
$$;
