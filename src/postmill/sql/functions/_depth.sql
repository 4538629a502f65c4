-- How many messages of a queue are in which state, when the oldest ready one became visible, and since when the oldest
-- waiting one could have run. A table of at most 60 pages, or any with `exactly`, is counted whole. Of a larger one
-- about 30 pages are read and stand for the rest; counts that come out small are then made exact by the index on vt,
-- up to 1,000 entries. So the cost does not grow with the queue: less than a millisecond a queue, and a few where
-- messages wait. `exact` says whether every figure is.
-- Waiting messages are counted by their rows in gates and blocked, up to 1,000 (10,000 in a small table). Of more, the
-- parked messages of the sample stand for them.
-- After many deletions that vacuum could not clean up yet, the index is not walked: it may hold any number of dead
-- entries. Then the sample is all there is (see _sample).
-- Called by queue_stats. Takes no locks. Errors: none.
create or replace function postmill._depth(
    queue text, exactly boolean,
    out ready bigint, out running bigint, out waiting bigint, out later_tried bigint, out later_new bigint,
    out oldest timestamptz, out oldest_waiting timestamptz, out exact boolean
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    whole_pages  constant bigint := 60;
    few          constant integer := 1000;
    most_waiting constant integer := 10000;
    much_dead    constant bigint := 100000;
    relation     regclass := postmill._queue_table(queue);
    is_whole     boolean := exactly or postmill._pages(relation) <= whole_pages;
    much_is_dead boolean := coalesce(pg_catalog.pg_stat_get_dead_tuples(relation), 0) >= much_dead;
    guessed      boolean;
    counted      record;
    held_up      record;
begin
    select found.running, found.estimated into running, guessed
    from postmill._count_running(queue, relation, 10000) as found;
    select * into held_up from postmill._count_waiting(
        queue, relation, case when exactly then null when is_whole then most_waiting else few end);
    exact := is_whole and not guessed and not held_up.estimated;
    -- Where the waiting ones were counted, they are taken from all that are not due; else all that are parked wait.
    select * into counted from postmill._sample(relation, is_whole, much_is_dead, held_up.estimated);
    ready := counted.ready;
    waiting := case when held_up.estimated then counted.parked else held_up.waiting end;
    later_tried := counted.tried;
    later_new := counted.untried;
    oldest := counted.oldest;
    oldest_waiting := held_up.oldest;
    if held_up.estimated then
        held_up.waiting := 0;
        held_up.tried := 0;
    end if;
    if not is_whole and not much_is_dead then
        execute format('select vt from %s where vt <= statement_timestamp() order by vt limit 1', relation) into oldest;
        if ready <= few then
            execute format(
                'select count(*)
                 from (select from %s where vt <= statement_timestamp() order by vt limit $1) as due',
                relation)
            into ready using few;
        end if;
        if later_tried + later_new - running - held_up.waiting <= few then
            execute format(
                'select count(*) filter (where read_ct > 0), count(*) filter (where read_ct = 0)
                 from (
                     (select read_ct from %1$s where vt > statement_timestamp() and vt <= $2 order by vt limit $1)
                     union all
                     (select read_ct from %1$s where vt > $3 order by vt limit $1)) as later',
                relation)
            into later_tried, later_new
            using few + running + held_up.waiting,
                case when held_up.estimated then postmill._parked_until() - interval '1 microsecond'
                     else 'infinity' end,
                case when held_up.estimated then postmill._parked_until() else 'infinity' end;
        end if;
    end if;
    later_tried := greatest(0, later_tried - running - held_up.tried);
    later_new := greatest(0, later_new - (held_up.waiting - held_up.tried));
end
$$;
