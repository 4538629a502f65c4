-- Signals of a run that were taken by steps which it has forgotten: they are there for the waits that begin anew.
-- Called by retry_run, with the run's row locked. Locks: signals of the run. Errors: none.
create or replace function postmill._free_signals(run_id bigint) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
    update postmill.signals as sent set taken_by = null
    where sent.run_id = _free_signals.run_id and sent.taken_by is not null
      and not exists (select from postmill.steps as step
                      where step.run_id = _free_signals.run_id and step.step = sent.taken_by);
$$;
