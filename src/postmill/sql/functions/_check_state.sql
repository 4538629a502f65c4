-- Refuses what is no state of a message; null is any state.
-- Called by messages. Takes no locks. Errors: PM003.
create or replace function postmill._check_state(state text) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    states text[] := array['scheduled', 'ready', 'running', 'retrying', 'waiting', 'completed', 'dead', 'cancelled'];
begin
    if state <> all (states) then
        raise exception '% is not a state of a message', quote_literal(state)
            using errcode = 'PM003', hint = 'The states are ' || array_to_string(states, ', ') || '.';
    end if;
end
$$;
