-- The state of a job of whose message there is no gate, no edge, no result, no letter and no cancellation: it was sent
-- by another client and is not parked yet, or another client has archived it. `gone`: it left no trace.
-- Called by _known_job. Takes no locks. Errors: none.
create or replace function supaqueue._state_outside(queue_name text, msg_id bigint) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce((
        select case
            when found.state = 'completed' then 'success'
            when found.state = 'running' then 'in_progress'
            when found.vt >= supaqueue._held_until() then 'held'
            else 'pending' end
        from postmill.messages(_state_outside.queue_name, only_id => _state_outside.msg_id) as found), 'gone');
$$;
revoke execute on function supaqueue._state_outside from public;
comment on function supaqueue._state_outside is 'Facade supaqueue of Postmill: the state of a message without traces.';
