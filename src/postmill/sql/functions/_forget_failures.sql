-- Forgets which failures a retry of a durable function's run does again, and nothing else. Of a run that failed: those
-- that have ended its function, which are all but those that it has caught (`caught`). A failure that it has caught is
-- part of what it did then: it stays. So does every failure where the function was not what ended the run (the
-- deadline, a cancellation), until it would fail the run again: see _do_again. A step between two attempts begins with
-- its first one. Where `caught` is not known, the culprit alone is done again. Called by retry_run, with the run's row
-- locked, as it was when it had ended. Locks: the steps. Errors: none.
create or replace function postmill._forget_failures(run postmill.runs) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
    delete from postmill.steps as step
    where step.run_id = run.run_id
      and (step.state = 'waiting' and step.attempts is not null
           or step.state = 'failed' and run.state = 'failed'
              and case when run.caught is null then step.step = run.culprit else step.step <> all (run.caught) end);
$$;
