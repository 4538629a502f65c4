-- Refuses a queue whose messages can't be waited for by the caller's, and an id that it has never given out; `last_id`
-- is the highest one that is meant. A source's row is written to at commit, so who sends must have the right to that.
-- Called by _block. Takes no locks. Errors: PM001 no such queue, PM003, PM004 a queue without headers,
-- insufficient_privilege.
create or replace function postmill._check_source(queue text, last_id numeric) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    relation constant regclass := postmill._queue_table(queue);
    sequence constant regclass := pg_get_serial_sequence(relation::text, 'msg_id');
    given    bigint;
begin
    if not exists (select from pg_attribute
                   where attrelid = relation and attname = 'headers' and not attisdropped) then
        raise exception 'messages of queue % can''t be waited for', quote_literal(queue)
            using errcode = 'PM004', detail = 'Its table was made by a pgmq before 1.5 and has no headers.',
                  hint = 'Create the queue anew with a newer pgmq.';
    elsif not (has_column_privilege(relation, 'headers', 'update') and has_any_column_privilege(relation, 'select')
               and has_sequence_privilege(sequence, 'select')) then
        raise exception 'messages of queue % can''t be waited for by role %', quote_literal(queue), current_user
            using errcode = 'insufficient_privilege',
                  detail = 'A message that others wait for is marked, so its queue must be writable.',
                  hint = format('grant select (msg_id), update (headers) on %s to %I; '
                                'grant select on sequence %s to %2$I',
                                relation, current_user, sequence);
    end if;
    execute format('select case when is_called then last_value else 0 end from %s', sequence) into given;
    if last_id > given or last_id < 1 then
        raise exception 'queue % has no message % yet', quote_literal(queue), last_id
            using errcode = 'PM003', detail = format('The last id that it has given out is %s.', given),
                  hint = 'Wait for messages that were sent before.';
    end if;
end
$$;
