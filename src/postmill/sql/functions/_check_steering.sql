-- Refuses to steer runs without a filter, and an action or a state that is none. Called by steer_runs. Takes no locks.
-- Errors: PM003.
create or replace function postmill._check_steering(
    action text, flow text, state text, tag text, older_than interval
) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    states constant text[] := '{running,waiting,paused,undoing,completed,failed,cancelled}';
begin
    if coalesce(action, '') not in ('cancel', 'pause', 'resume', 'retry') then
        raise exception 'runs can''t be told to %', coalesce(quote_literal(action), 'null')
            using errcode = 'PM003', hint = 'Say cancel, pause, resume or retry.';
    elsif state <> all (states) then
        raise exception '% is not a state of a run', quote_literal(state)
            using errcode = 'PM003', hint = 'The states are ' || array_to_string(states, ', ') || '.';
    elsif older_than < interval '0' or not isfinite(older_than) then
        raise exception 'older_than is no length of time: %', older_than
            using errcode = 'PM003', hint = 'Give an interval such as ''1 hour''.';
    elsif coalesce(flow, state, tag, older_than::text) is null then
        raise exception 'which runs?'
            using errcode = 'PM003', detail = 'Without a filter every run would be meant.',
                  hint = 'Give flow, state, tag or older_than.';
    end if;
end
$$;
