-- A wait of a workflow's run can't take a signal: its value does not fit the type that the wait asks for. The signal
-- counts no more, so that another one of its name can be sent; the run says what it was, in an event of the name
-- signal.refused, and why, in the row of its waiting step. Returns whether the run goes on under this message.
-- Called by the statement run_refuse_signal. Lock order: the run, then its signals, steps and events. Errors: none.
create or replace function postmill._refuse_signal(
    run_id bigint, wake integer, step text, signal_id bigint, reason text
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
    sent postmill.signals;
begin
    perform postmill._tell_watchers(array[run_id]);
    perform from postmill.runs as r
     where r.run_id = _refuse_signal.run_id and r.wake = _refuse_signal.wake and r.state = 'running'
       for no key update;
    if not found then
        return false;
    end if;
    update postmill.signals as g set refused = _refuse_signal.reason
     where g.signal_id = _refuse_signal.signal_id and g.run_id = _refuse_signal.run_id
       and g.taken_by is null and g.refused is null
    returning * into sent;
    if not found then  -- another wait of the run has refused it
        return true;
    end if;
    insert into postmill.run_events (run_id, step, name, value)
    values (_refuse_signal.run_id, _refuse_signal.step, 'signal.refused',
            jsonb_build_object('signal', sent.name, 'value', sent.value, 'reason', sent.refused));
    insert into postmill.steps as s (run_id, step, state, reason, started_at)
    values (_refuse_signal.run_id, _refuse_signal.step, 'waiting', _refuse_signal.reason, clock_timestamp())
    on conflict on constraint steps_pkey do update
       set reason = excluded.reason, changed = pg_current_xact_id()
     where s.state = 'waiting';
    return true;
end
$$;
