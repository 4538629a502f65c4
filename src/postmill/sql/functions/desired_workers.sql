-- How many workers of `slots` places each a queue wants now, between `min` and `max`, so that what is ready has begun
-- within `target_wait_s`: the greater of what runs, at four fifths of all slots, and of what is ready, by how long
-- attempts took lately. It is a number for the whole queue: of several answers the maximum counts, never the sum.
-- With a wait of infinity one is enough for all that is ready.
-- 0 only when nothing runs, nothing is ready and nothing falls due within 60 seconds. Of a paused queue only what runs
-- wants workers, and the rest wants one that waits with it.
-- Counts end at 10,000. Of more than 500 claimed messages the first 500 are looked up and stand for the rest. How
-- long an attempt takes comes from the last 60 rows of postmill.minutes; a queue that has none is given one second.
-- Where many deleted rows still wait for a vacuum the index would be a long walk: _sample is asked, and since it may
-- miss a single message, 0 is not said.
-- Called by autoscalers, people and the statements waiting_figures and read_queue_metrics. Takes no locks. Errors:
-- PM001 no such queue, PM003 numbers that make no sense.
create or replace function postmill.desired_workers(
    queue text, slots integer, target_wait_s float8 default 10, min integer default 0, max integer default 100
) returns integer
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
    most         constant integer := 10000;
    relation     constant regclass := postmill._named_table(queue);
    -- Within these bounds no quotient is too large or too small for a float8, and beyond them no answer is another.
    patience_s   constant float8 := greatest(1e-100, least(1e100, target_wait_s));
    much_is_dead constant boolean := coalesce(pg_catalog.pg_stat_get_dead_tuples(relation), 0) >= 100000;
    running      float8;
    ready        float8;
    mean_s       float8;
    wanted       float8;
    paused       boolean;
begin
    if slots is null or slots < 1 or target_wait_s is null or target_wait_s <= 0 or target_wait_s = 'NaN'
       or min is null or max is null or min < 0 or max < min then
        raise exception 'no number of workers follows from slots %, target_wait_s %, min % and max %',
            slots, target_wait_s, min, max
            using errcode = 'PM003',
                  hint = 'Give at least one slot, a wait of more than 0 seconds, and a min from 0 to max.';
    end if;
    select least(most, greatest(counted.running, counted.estimated::integer)) into running
    from postmill._count_running(queue, relation, 500) as counted;
    if much_is_dead then
        select least(seen.ready, most) into ready from postmill._sample(relation, false, true, false) as seen;
    else
        execute format(
            'select count(*)
             from (select from %s where vt <= statement_timestamp() order by vt limit $1) as due', relation)
        into ready using most;
    end if;
    select sum(lately.ran_ms) / nullif(sum(lately.ended), 0)::float8 / 1000 into mean_s
    from (
        select sums.ran_ms, sums.completed + sums.failed as ended
        from postmill.minutes as sums where sums.queue_name = queue
        order by sums.minute desc, sums.slot desc limit 60
    ) as lately;
    paused := exists (select from postmill.queues as row where row.queue_name = queue and row.paused_at is not null);
    wanted := greatest(
        ceil(running / slots / 0.8),
        case when paused then 0 else ceil(ready * coalesce(mean_s, 1) / patience_s / slots) end);
    if wanted < 1 and (ready > 0 or much_is_dead or postmill._due_within(queue, relation, interval '60 seconds')) then
        wanted := 1;
    end if;
    return greatest(min, least(max, wanted));
end
$$;
