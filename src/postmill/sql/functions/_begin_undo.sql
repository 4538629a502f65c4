-- A workflow's function has failed for good, and there is something to undo: says so in its run, whose message stays.
-- From now on a worker that has the message runs what undoes, until the run ends as failed. Returns whether the run
-- goes on under this message. May be called again: the first reason counts.
-- Called by the statement run_begin_undo. Locks: the run. Errors: none.
create or replace function postmill._begin_undo(run_id bigint, wake integer, reason text, culprit text) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform postmill._tell_watchers(array[run_id]);
    update postmill.runs as r
       set state = 'undoing', changed = pg_current_xact_id(),
           reason = case r.state when 'running' then _begin_undo.reason else r.reason end,
           culprit = case r.state when 'running' then _begin_undo.culprit else r.culprit end
     where r.run_id = _begin_undo.run_id and r.wake = _begin_undo.wake and r.state in ('running', 'undoing');
    return found;
end
$$;
