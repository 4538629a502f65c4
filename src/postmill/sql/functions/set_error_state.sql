-- Writes down what somebody has decided about an error: open, ignored or resolved. One that is seen after it was
-- resolved is open again.
-- Called by people, the command line and dashboards. Locks: the error's row. Errors: PM003 no such state, PM014 no
-- failed attempt has this fingerprint.
create or replace function postmill.set_error_state(fingerprint text, state text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
begin
    if coalesce(set_error_state.state, '') not in ('open', 'ignored', 'resolved') then
        raise exception '% is no state of an error', coalesce(quote_literal(set_error_state.state), 'null')
            using errcode = 'PM003', hint = 'It is open, ignored or resolved.';
    elsif not exists (select from postmill.failures as failed
                      where failed.fingerprint = set_error_state.fingerprint) then
        raise exception 'no failed attempt has the fingerprint %',
            coalesce(quote_literal(set_error_state.fingerprint), 'null')
            using errcode = 'PM014', hint = 'Those there are: select fingerprint from postmill.error_list()';
    end if;
    insert into postmill.error_groups as known (fingerprint, state)
    values (set_error_state.fingerprint, set_error_state.state)
    on conflict on constraint error_groups_pkey do update
        set state = excluded.state, changed_by = session_user, changed_at = clock_timestamp();
end
$$;
