-- The key of the run that a step of a durable function's run starts: a step that is tried again after a crash finds the
-- same one.
-- Called by _start_child and _leave_children. Takes no locks. Errors: none.
create or replace function postmill._child_key(run_id bigint, step text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select format('%s/%s', run_id, case when length(step) > 150 then md5(step) else step end);
$$;
