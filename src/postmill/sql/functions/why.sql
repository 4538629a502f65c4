-- Why a message does not run at this moment: one row a cause, the one that decides first (`rank` 1). `cause` is a word
-- that does not change, `said` says it in words, `until` is when it ends by itself, where that is known, and `detail`
-- has the figures. A message that runs, or that is not in its queue, has one row, which says where it is. Each look is
-- bounded, so it takes a few milliseconds however full the queue is.
-- Called by people, the command line and dashboards. Takes no locks. Errors: PM001 no such queue.
create or replace function postmill.why(queue text, msg_id bigint)
returns table (rank integer, cause text, said text, until timestamptz, detail jsonb)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select (row_number() over (order by found.place))::integer, found.cause, found.said, found.until,
        jsonb_strip_nulls(coalesce(found.detail, '{}'))
    from (select *, count(*) over () as all_there from postmill._causes(queue, msg_id)) as found
    where found.cause <> 'not_looked_yet' or found.all_there = 1
    order by found.place;
$$;
