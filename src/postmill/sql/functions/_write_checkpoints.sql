-- Records outcomes of steps of workflows, and tells what became of each that is no plain success. The first write wins:
-- of a step that has an outcome already, that outcome is returned. A step whose wait, sleep or child had no outcome yet
-- gets one. With the state `waiting` it is no outcome but a failed attempt: `attempts` is how many have failed so far,
-- `pauses` the seconds until the next. Of a run that has ended or was woken since only what has succeeded counts: its
-- function is not told of a failure, and a retry begins such a step anew. `signal_ids`: the signal that a wait takes
-- with this; one that another wait has taken meanwhile leaves the step without an outcome. `held`: whether the message
-- that the outcome was made under is still its worker's. Returns a row, by its place in the arrays from 1 on, for what
-- was not written (`written` is false; the outcome that stands in its place has a `state`, and where none stands it has
-- not), and for what belongs to a run that does not simply run on: its state, and whether the message is still its
-- newest. Called by the statement run_checkpoint. Lock order: steps by (run_id, step), then signals. Errors: none of
-- its own.
create or replace function postmill._write_checkpoints(
    run_ids bigint[], wakes integer[], steps text[], states text[], outputs text[], inputs text[], reasons text[],
    attempts integer[], pauses float8[], signal_ids bigint[], held boolean[]
) returns table (
    place integer, written boolean, state text, output text, inputs_before text, reason text,
    run_state text, newest boolean
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
#variable_conflict use_column
declare
    won_runs  bigint[];
    won_steps text[];
begin
    perform postmill._tell_watchers(run_ids);
    with asked as (
        select * from unnest(
                run_ids, wakes, steps, states, outputs, inputs, reasons, attempts, pauses, signal_ids, held)
            as t (run_id, wake, step, state, output, inputs, reason, attempts, pause_s, signal_id, held)
    ), new as (
        insert into postmill.steps as s (
                run_id, step, state, output, inputs, reason, attempts, due_at, started_at, ended_at)
        select a.run_id, a.step, a.state, a.output::jsonb, a.inputs, a.reason, a.attempts,
               clock_timestamp() + a.pause_s * interval '1 second',
               case when a.state = 'waiting' then clock_timestamp() end,
               case when a.state <> 'waiting' then clock_timestamp() end
          from asked as a
         where a.held
           and (select a.state = 'completed' or r.wake = a.wake and r.ended_at is null  -- not exists: no join
                  from postmill.runs as r where r.run_id = a.run_id)
           and (a.signal_id is null or (
               select g.taken_by is null or not g.many
                 from postmill.signals as g where g.signal_id = a.signal_id and g.run_id = a.run_id))
         order by a.run_id, a.step
        on conflict (run_id, step) do update
           set state = excluded.state, output = excluded.output, inputs = excluded.inputs, reason = excluded.reason,
               attempts = greatest(s.attempts, excluded.attempts), due_at = excluded.due_at,
               ended_at = excluded.ended_at, changed = pg_current_xact_id()
         where s.state = 'waiting'
        returning s.run_id, s.step
    )
    select array_agg(new.run_id), array_agg(new.step) into won_runs, won_steps from new;
    if array_remove(signal_ids, null) <> '{}' then
        update postmill.signals as g set taken_by = t.step
          from unnest(run_ids, steps, signal_ids) as t (run_id, step, signal_id)
         where g.signal_id = t.signal_id and g.taken_by is null
           and (t.run_id, t.step) in (select * from unnest(won_runs, won_steps));
    end if;
    if cardinality(won_runs) = cardinality(run_ids) then
        return query
        select t.place::integer, true, null::text, null::text, null::text, null::text, r.state, r.wake = t.wake
          from unnest(run_ids, wakes) with ordinality as t (run_id, wake, place)
          join postmill.runs as r on r.run_id = t.run_id
         where r.state <> 'running' or r.wake <> t.wake;
        return;
    end if;
    return query
    select t.place::integer, t.won, s.state, s.output::text, s.inputs, s.reason, r.state,
           coalesce(r.wake = t.wake, false)
      from (select *, (run_id, step) in (select * from unnest(won_runs, won_steps)) as won
              from unnest(run_ids, wakes, steps) with ordinality as t (run_id, wake, step, place)) as t
      left join postmill.runs as r on r.run_id = t.run_id
      left join postmill.steps as s on not t.won and s.run_id = t.run_id and s.step = t.step and s.state <> 'waiting'
     where not t.won or r.state is distinct from 'running' or r.wake <> t.wake;
end
$$;
