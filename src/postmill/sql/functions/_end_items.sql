-- Items of maps have ended, with an output each or, where failed items are collected, with a reason. Counts them off
-- their maps, and returns the maps whose last item this was, and the tasks that are next in maps with a window. Only
-- what the map has sent and what has not ended yet counts: messages can be forged and doubled.
-- Called by _settle_steps and _fail_steps, with the steps' rows locked. Lock order: items by (run, step, item), steps
-- (held). Errors: an output that is no JSON.
create or replace function postmill._end_items(
    run_ids bigint[], steps text[], items integer[], outputs text[], reasons text[],
    out ended_runs bigint[], out ended_steps text[], out tasks postmill.flow_tasks
)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
declare
    more record;
begin
    with stored as (
        insert into postmill.items as i (run_id, step, item, output, reason)
        select distinct on (t.run_id, t.step, t.item) t.run_id, t.step, t.item,
               case when t.reason is null then coalesce(t.output, 'null')::jsonb end, t.reason
          from unnest(run_ids, steps, items, outputs, reasons) as t (run_id, step, item, output, reason)
--+ its_row
         where s.state = 'started' and t.item >= 0 and t.item < coalesce(s.next_item, s.tasks)
         order by t.run_id, t.step, t.item
            on conflict (run_id, step, item) do update
               set output = excluded.output, reason = excluded.reason, value = null, ended = true
             where not i.ended
        returning i.run_id, i.step
    ),
    counted as (
        select t.ended, s.at, s.next_item
          from (select stored.run_id, stored.step, count(*)::integer as ended from stored
                 group by stored.run_id, stored.step) as t
--+ its_row
    ),
    left_over as (
        update postmill.steps as s
           set tasks_left = s.tasks_left - counted.ended,
               next_item = s.next_item + least(counted.ended, s.tasks - s.next_item), changed = pg_current_xact_id()
          from counted
         where s.ctid = counted.at
        returning s.run_id, s.step, s.tasks_left, counted.ended, counted.next_item,
                  counted.next_item < s.tasks as has_more
    )
    select array_agg(run_id) filter (where tasks_left = 0) as ended_runs,
           array_agg(step) filter (where tasks_left = 0) as ended_steps,
           array_agg(run_id) filter (where has_more) as runs,
           array_agg(step) filter (where has_more) as steps,
           array_agg(next_item) filter (where has_more) as firsts,
           array_agg(ended) filter (where has_more) as many
      into more
      from left_over;
    ended_runs := more.ended_runs;
    ended_steps := more.ended_steps;
    if more.runs is not null then
        tasks := postmill._next_items(more.runs, more.steps, more.firsts, more.many);
    end if;
end
$$;
