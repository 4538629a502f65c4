-- Passes the end of messages on to those that wait for them. `fate`: completed, dead, cancelled, deleted (discarded or
-- purged) or unknown (it left no trace). A message that was waiting for the last of its sources is due, or waits at its
-- gate; or, after a dead source, it is cancelled with what waits for it in turn, as it was sent to be. Messages that
-- those send then (else_send) are sent by the caller's role.
-- Never makes its caller fail: what could not be done now, also because of a lock, is left to the sweep, for seconds.
-- Called by _ended, _discard, _purged, release and the facade supaqueue. Lock order: as _pass_on, then as _follow_up.
-- Errors: none.
create or replace function postmill._release(queue text, ids bigint[], fate text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    if coalesce(ids, '{}') = '{}' then
        return;
    end if;
    begin
        perform postmill._follow_up(gone.queue_name, gone.msg_id, gone.headers, 'cancelled')
        from postmill._pass_on(queue, ids, fate, patient => true) as gone;
    exception
        when others then
            if not postmill._passes(sqlstate) then
                raise warning 'messages that wait for queue % are left to the sweep: %', quote_literal(queue), sqlerrm
                    using errcode = sqlstate;
            end if;
            perform postmill._note_ended(queue, ids, fate);
    end;
end
$$;
