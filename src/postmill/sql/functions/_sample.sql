-- How many messages of a table are due, and not due: tried before, new, and parked (0 without `with_parked`: then they
-- are among the others); and since when the oldest that was seen is due. The whole table with `is_whole`; else about 30
-- pages are read and stand for the rest, so that the cost does not grow with it.
-- With `much_is_dead` the last 20 pages are counted whole, and the sample stands for those before them: while no place
-- comes free, what was sent or put off lately is at the end, and among many pages of dead rows a sample would miss it.
-- Called by _depth and desired_workers. Takes no locks. Errors: none.
create or replace function postmill._sample(
    relation regclass, is_whole boolean, much_is_dead boolean, with_parked boolean,
    out ready bigint, out tried bigint, out untried bigint, out parked bigint, out oldest timestamptz
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    sample_pages constant float8 := 30;
    tail_pages   constant bigint := 20;
    pages        constant bigint := postmill._pages(relation);
    has_tail     constant boolean := much_is_dead and pg_catalog.pg_relation_filenode(relation) is not null;
    tail         constant bigint := case when has_tail then greatest(0, pages - tail_pages) else pages end;
begin
    execute format(
        'select coalesce(sum(each) filter (where vt <= statement_timestamp()), 0),
             coalesce(sum(each) filter (where vt > statement_timestamp() and read_ct > 0 and not parked), 0),
             coalesce(sum(each) filter (where vt > statement_timestamp() and read_ct = 0 and not parked), 0),
             coalesce(sum(each) filter (where parked), 0),
             min(vt) filter (where vt <= statement_timestamp())
         from (select each, vt, read_ct, $1 and vt = postmill._parked_until() as parked from (' || case
             when is_whole then 'select 1::float8 as each, vt, read_ct from %1$s'
             else 'select %3$s::float8 as each, vt, read_ct from %1$s tablesample system (%4$s) repeatable (0)
                   where ctid < ''(%2$s,0)'' or $2
                   union all
                   select 1::float8, vt, read_ct from %1$s where ctid >= ''(%2$s,0)'' and not $2' end
         || ') as seen) as queued',
        relation, tail, greatest(tail, sample_pages) / sample_pages, 100 * sample_pages / greatest(tail, sample_pages))
    into ready, tried, untried, parked, oldest using with_parked, not has_tail;
end
$$;
