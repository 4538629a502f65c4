-- Sends a run a signal. Whoever waits for it goes on. Returns false where nothing was sent: the run has ended, or it
-- has been sent this signal before. With `many` it is one of a queue: each is kept, and each wait takes the next one.
-- A value that can't fit the wait of a graph is refused here, of a workflow by the worker that runs it.
-- Called by people, clients and approvals. Lock order: the run, then its signals and steps, then queues. Errors: PM003
-- a name or value that is null; PM005 (see _check_isolation), PM009 no such run, PM010 no step of its graph waits for
-- it, PM015 a value that does not fit. What a workflow waits for is known by its code alone: any name is kept.
create or replace function postmill.signal_run(run_id bigint, name text, value jsonb, many boolean default false)
returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
--+ by_key
as $$
declare
    its   record;
    sent  bigint;
    wrong text;
begin
    perform postmill._check_isolation();
    if coalesce(name, '') = '' or value is null or many is null then
        raise exception 'a signal has a name and a value'
            using errcode = 'PM003', hint = 'For a signal without a content send ''null''::jsonb.';
    end if;
    select r.state, r.waits_for, r.version_id, v.kind into its
      from postmill.runs as r join postmill.flow_versions as v using (version_id)
     where r.run_id = signal_run.run_id for no key update of r;
    if not found then
        perform postmill._refuse_missing_run(signal_run.run_id);
    elsif its.kind = 'graph' and not exists (
        select from postmill.flow_steps as step
         where step.version_id = its.version_id and step.signal = signal_run.name)
    then
        perform postmill._refuse_unknown_signal(signal_run.run_id, its.version_id, signal_run.name);
    end if;
    if its.state not in ('running', 'waiting', 'paused') then
        return false;
    end if;
    wrong := (select min(postmill._misfit(signal_run.value, known.chosen -> 'accepts',
                                          known.chosen #> '{accepts,$defs}'))
                from postmill.flow_steps as known
               where known.version_id = its.version_id and known.kind = 'wait' and known.signal = signal_run.name);
    if wrong is not null then
        raise exception 'the value does not fit the signal %: %', quote_literal(name), wrong
            using errcode = 'PM015', hint = 'Nothing was sent: the run waits on.';
    end if;
    insert into postmill.signals as s (run_id, name, value, many)
    values (signal_run.run_id, signal_run.name, signal_run.value, signal_run.many)
    on conflict do nothing
    returning s.signal_id into sent;
    if sent is null then
        return false;
    end if;
    perform postmill._tell_watchers(array[run_id]);
    if its.kind = 'graph' then
        perform postmill._end_wait(signal_run.run_id, its.version_id, signal_run.name, sent);
    elsif its.state = 'waiting' and signal_run.name = any (its.waits_for) then
        update postmill.runs as r
           set state = 'running', wake = r.wake + 1, waits_for = null, due_at = null, changed = pg_current_xact_id()
         where r.run_id = signal_run.run_id;
        perform postmill._send_wakes(array[signal_run.run_id], array[clock_timestamp()]);
    end if;
    return true;
end
$$;
