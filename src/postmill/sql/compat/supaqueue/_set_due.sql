-- Says when a job that waits may start: a held one now, or any one not before its status is set again.
-- Called by _change_job. Lock order: as _lock_waiting, then gates. Errors: PM005 it has begun or ended.
create or replace function supaqueue._set_due(queue_name text, msg_id bigint, due_at timestamptz) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set jit = off
set enable_seqscan = off
as $$
begin
    if not supaqueue._lock_waiting(queue_name, msg_id) then
        raise exception 'job % of queue % has begun, or has ended', msg_id, quote_literal(queue_name)
            using errcode = 'PM005', hint = 'Read its status again.';
    end if;
    update postmill.blocked as held set due_at = _set_due.due_at
    where held.queue_name = lower(_set_due.queue_name) and held.msg_id = _set_due.msg_id;
    if not found then
        execute format('update %s set vt = postmill._parked_until() where msg_id = $1',
                       postmill._queue_table(queue_name)) using msg_id;
        execute format('select postmill._park($1, array[$2], array[coalesce(
                            postmill._group_of(to_jsonb(queued) -> ''headers''), '''')], array[$3])
                        from %s as queued where queued.msg_id = $2', postmill._queue_table(queue_name))
        using queue_name, msg_id, due_at;
        perform postmill._wake_for(queue_name, due_at);
    end if;
end
$$;
revoke execute on function supaqueue._set_due from public;
comment on function supaqueue._set_due is 'Facade supaqueue of Postmill: says when a job that waits may start.';
