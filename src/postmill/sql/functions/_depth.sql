-- How many messages of a queue are in which state, and when the oldest ready one became visible. A table of at most 60
-- pages, or any with `exactly`, is counted whole. Of a larger one about 30 pages are read and stand for the rest;
-- counts that come out small are then made exact by the index on vt, up to 1,000 entries. So the cost does not grow
-- with the queue: less than a millisecond a queue. `exact` says whether every figure is.
-- After many deletions that vacuum could not clean up yet, the index is not walked: it may hold any number of dead
-- entries.
-- Called by queue_stats. Takes no locks. Errors: none.
create or replace function postmill._depth(
    queue text, exactly boolean,
    out ready bigint, out running bigint, out later_tried bigint, out later_new bigint,
    out oldest timestamptz, out exact boolean
)
language plpgsql stable
set search_path = ''
as $$
declare
    whole_pages  constant bigint := 60;
    sample_pages constant float8 := 30;
    few          constant integer := 1000;
    much_dead    constant bigint := 100000;
    relation     regclass := postmill._queue_table(queue);
    pages        bigint := postmill._pages(relation);
    scale        float8;
    guessed      boolean;
    counted      record;
begin
    select found.running, found.estimated into running, guessed from postmill._count_running(queue, relation) as found;
    exact := (exactly or pages <= whole_pages) and not guessed;
    scale := case when exactly or pages <= whole_pages then 1 else pages / sample_pages end;
    execute format(
        'select count(*) filter (where vt <= statement_timestamp()) as ready,
             count(*) filter (where vt > statement_timestamp() and read_ct > 0) as tried,
             count(*) filter (where vt > statement_timestamp() and read_ct = 0) as new,
             min(vt) filter (where vt <= statement_timestamp()) as oldest
         from %s %s',
        relation, case when scale = 1 then '' else format('tablesample system (%s) repeatable (0)', 100 / scale) end)
    into counted;
    ready := counted.ready * scale;
    later_tried := counted.tried * scale;
    later_new := counted.new * scale;
    oldest := counted.oldest;
    if scale > 1 and coalesce(pg_catalog.pg_stat_get_dead_tuples(relation), 0) < much_dead then
        execute format('select vt from %s where vt <= statement_timestamp() order by vt limit 1', relation) into oldest;
        if ready <= few then
            execute format(
                'select count(*)
                 from (select from %s where vt <= statement_timestamp() order by vt limit $1) as due',
                relation)
            into ready using few;
        end if;
        if later_tried + later_new - running <= few then
            execute format(
                'select count(*) filter (where read_ct > 0), count(*) filter (where read_ct = 0)
                 from (select read_ct from %s where vt > statement_timestamp() order by vt limit $1) as later',
                relation)
            into later_tried, later_new using few + running;
        end if;
    end if;
    later_tried := greatest(0, later_tried - running);
end
$$;
