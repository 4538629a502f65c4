-- What workers need to go on with runs of workflows: the input, all that is recorded, and the signals that may be
-- taken. `wakes`: the numbers of the messages that were claimed. A run that waits is running from here on, if its
-- message is the newest and its flow is one of `flows`, those that the worker has. A run of another flow stays as it
-- is, and is `live`: its message is to be held, as that of a paused run. `live` is false for a message that is stale,
-- and for a run that has ended.
-- `waited_s`: seconds since a wait, a sleep or a child that has no outcome yet began; `left_s`: seconds until a step is
-- tried again; both by the server's clock. A signal that is one of a queue is listed until a wait has taken it, a plain
-- one always, and one whose value was refused never. No row for a run that is gone.
-- Called by the statement run_load. Locks: runs of `flows` that wait, by run_id. Errors: none.
create or replace function postmill._load_runs(run_ids bigint[], wakes integer[], flows text[]) returns table (
    run_id bigint, wake integer, live boolean, flow text, state text, input text, reason text, culprit text,
    events bigint,
    steps text[], states text[], outputs text[], inputs text[], reasons text[], waited_s float8[],
    attempts integer[], left_s float8[],
    signal_ids bigint[], signals text[], contents text[], untaken boolean[]
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
#variable_conflict use_column
begin
    perform from postmill.runs as r
     where r.run_id = any (run_ids) and r.state = 'waiting' and r.flow = any (flows)
     order by r.run_id for no key update;
    if found then
        update postmill.runs as r set state = 'running', waits_for = null, due_at = null, changed = pg_current_xact_id()
         where r.run_id = any (run_ids) and r.state = 'waiting' and r.flow = any (flows)
           and ((r.run_id, r.wake) in (select * from unnest(run_ids, wakes))) is true;
    end if;
    return query
    select r.run_id, t.wake,
           r.wake = t.wake and (r.state in ('running', 'undoing', 'paused')
                                or r.state = 'waiting' and r.flow <> all (flows)),
           r.flow, r.state, r.input::text, r.reason, r.culprit,
           (select count(*) from postmill.run_events as e where e.run_id = r.run_id and e.step is null),
           s.steps, s.states, s.outputs, s.inputs, s.reasons, s.waited_s, s.attempts, s.left_s,
           g.signal_ids, g.signals, g.contents, g.untaken
      from (select distinct * from unnest(run_ids, wakes)) as t (run_id, wake)
     cross join lateral (  -- offset: no join, which may be planned over all runs
          select run.* from postmill.runs as run where run.run_id = t.run_id offset 0) as r
      cross join lateral (
          select array_agg(s.step) as steps, array_agg(s.state) as states, array_agg(s.output::text) as outputs,
                 array_agg(s.inputs) as inputs, array_agg(s.reason) as reasons,
                 array_agg(extract(epoch from clock_timestamp() - s.started_at)::float8) as waited_s,
                 array_agg(s.attempts) as attempts,
                 array_agg(extract(epoch from s.due_at - clock_timestamp())::float8) as left_s
            from postmill.steps as s where s.run_id = r.run_id) as s
      cross join lateral (
          select array_agg(g.signal_id order by g.signal_id) as signal_ids,
                 array_agg(g.name order by g.signal_id) as signals,
                 array_agg(g.value::text order by g.signal_id) as contents,
                 array_agg(g.taken_by is null order by g.signal_id) as untaken
            from (select * from postmill.signals as one  -- offset: else all signals may be read, in their order
                   where one.run_id = r.run_id and (one.taken_by is null or not one.many) and one.refused is null
                  offset 0) as g) as g;
end
$$;
