-- A signal has come for a run of a graph: the step that waits for it completes with the signal's value, and what needs
-- it begins. Of a signal that may come many times one step gets this one; a plain signal is for all that wait.
-- Called by signal_run, with the run's row locked. Lock order: the run (held), its steps, signals, then as _advance
-- and _send_steps. Errors: those of the two.
create or replace function postmill._end_wait(run_id bigint, version_id integer, name text, signal_id bigint)
returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
declare
    sent  postmill.signals;
    ended text[];
begin
    select * into sent from postmill.signals as g where g.signal_id = _end_wait.signal_id;
    with waiting as (
        select known.step
          from postmill.flow_steps as known
          join postmill.steps as s on s.run_id = _end_wait.run_id and s.step = known.step and s.state = 'started'
         where known.version_id = _end_wait.version_id and known.kind = 'wait' and known.signal = _end_wait.name
         order by known.place
         limit case when sent.many then 1 end
    ), completed as (
        update postmill.steps as s
           set state = 'completed', output = sent.value, ended_at = clock_timestamp(), changed = pg_current_xact_id()
         where s.run_id = _end_wait.run_id and s.step in (select step from waiting)
        returning s.step
    )
    select array_agg(step) into ended from completed;
    if ended is not null then
        update postmill.signals as g set taken_by = ended[1] where g.signal_id = _end_wait.signal_id;
        perform postmill._send_steps(postmill._advance(
            array_fill(_end_wait.run_id, array[cardinality(ended)]), ended,
            array_fill(false, array[cardinality(ended)])));
    end if;
end
$$;
