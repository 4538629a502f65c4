-- The value of a signal that a waiting step gets now, or null. A plain signal is there for all waits of the run; of one
-- that may come many times each wait gets one, in order.
-- Called by _begin_steps, with the run's row locked. Lock order: signals. Errors: none.
create or replace function postmill._take_signal(run_id bigint, name text, step text) returns jsonb
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
    found_id bigint;
    found_value jsonb;
begin
    select s.signal_id, s.value into found_id, found_value
      from postmill.signals as s
     where s.run_id = _take_signal.run_id and s.name = _take_signal.name and (not s.many or s.taken_by is null)
     order by s.many, s.signal_id
     limit 1;
    update postmill.signals as s set taken_by = coalesce(s.taken_by, _take_signal.step) where s.signal_id = found_id;
    return found_value;
end
$$;
