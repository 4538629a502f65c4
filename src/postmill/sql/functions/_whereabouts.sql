-- Where a message is that is not in its queue's table: `completed`, `dead`, `cancelled`, `replayed` as another message,
-- sent by a transaction that is still open (`uncommitted`: it may be, since a session that has written to the queue has
-- not ended), never sent (`unsent`), or `gone`: nothing is left of it.
-- Called by _causes. Takes no locks. Errors: PM001.
create or replace function postmill._whereabouts(queue text, relation regclass, msg_id bigint)
returns table (cause text, said text, until timestamptz, detail jsonb)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    trace record;
    given bigint;
begin
    select done.state, done.finished_at, done.last_error into trace
    from postmill.messages(_whereabouts.queue, max_rows => 1, only_id => _whereabouts.msg_id) as done;
    if trace.state is not null then
        return query
        select trace.state, 'it is ' || trace.state || ' since ' || postmill._moment(trace.finished_at),
            null::timestamptz,
            jsonb_build_object('at', trace.finished_at, 'error', trace.last_error, 'letter_id', (
                select max(letter.letter_id) from postmill.dead_letters as letter
                where trace.state = 'dead' and letter.queue_name = _whereabouts.queue
                  and letter.msg_id = _whereabouts.msg_id and letter.replayed_at is null));
        return;
    end if;
    return query
    select 'replayed', 'it died, and was put back as message ' || letter.replayed_as, null::timestamptz,
        jsonb_build_object('msg_id', letter.replayed_as, 'at', letter.replayed_at, 'by', letter.replayed_by,
                           'letter_id', letter.letter_id)
    from postmill.dead_letters as letter
    where letter.queue_name = _whereabouts.queue and letter.msg_id = _whereabouts.msg_id
      and letter.replayed_at is not null
    order by letter.replayed_at desc limit 1;
    if found then
        return;
    end if;
    given := coalesce(pg_catalog.pg_sequence_last_value(
        pg_catalog.pg_get_serial_sequence(relation::text, 'msg_id')::regclass), 0);
    if given < _whereabouts.msg_id then
        return query select 'unsent', 'no message has had this id yet: the last one is ' || given, null::timestamptz,
            jsonb_build_object('last', given);
        return;
    end if;
    return query
    select 'uncommitted', 'it may be sent by ' || who.said || ', and not committed', null::timestamptz, who.detail
    from pg_catalog.pg_locks as lock
    join pg_catalog.pg_stat_activity as activity using (pid)
    cross join lateral postmill._session(lock.pid) as who
    where lock.locktype = 'relation' and lock.relation = _whereabouts.relation and lock.granted
      and lock.database = (
          select known.oid from pg_catalog.pg_database as known where known.datname = current_database())
      and lock.mode = 'RowExclusiveLock' and lock.pid <> pg_backend_pid()
      and (activity.state <> 'active' or activity.xact_start < clock_timestamp() - interval '1 second')
    order by activity.xact_start limit 3;
    if not found then
        return query select 'gone',
            'nothing is left of it: it was deleted, its archive row was pruned, or its sender did not commit',
            null::timestamptz, null::jsonb;
    end if;
end
$$;
