-- Lets workers serve a queue by the priority of its messages: 0 to 9, a higher one first. `aging` keeps every message
-- from waiting for ever: each step of priority counts as this much waiting, so a message of priority 9 is served before
-- everything that is up to nine times `aging` older, and after what is older still. Null: as it is, at first a minute.
-- Builds an index of the messages that have a priority. No cast is in it, so that no header of any client breaks a
-- send: only the first character of the priority counts. msg_id is in it because one statement sends all its messages
-- with one vt, and a worker must know how far it came among them. Called again it changes the aging only.
-- An index can't be built concurrently in a function. Where sends must not wait, the owner builds it before, under this
-- very name (see the how-to); then it is only put to use.
-- Called by people and the command line. Locks: SHARE on the queue's table while the index is built (sends, claims and
-- settlements wait for it), only when the index is not there yet; then the queue's row in postmill.queues.
-- Errors: PM001 no such queue, PM003 an aging that is no positive time, PM004 a queue without headers, PM005 not your
-- table, or the index can't be used.
create or replace function postmill.enable_priority(queue text, aging interval default null) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    relation regclass := postmill._named_table(queue);
    index_name name := postmill._priority_index(relation);
    taken_by regclass := to_regclass(format('pgmq.%I', index_name));
begin
    if not isfinite(aging) or aging <= interval '0' or aging > interval '1 year' then
        raise exception 'an aging of % can''t be used', aging
            using errcode = 'PM003',
                  detail = 'It is how much waiting one step of priority counts for: more than nothing, at most a year.',
                  hint = 'Give an interval such as ''1 minute'', or null for the default.';
    end if;
    if not exists (select from pg_attribute where attrelid = relation and attname = 'headers' and not attisdropped) then
        raise exception 'messages of queue % have no priority', quote_literal(queue)
            using errcode = 'PM004',
                  detail = 'A priority is kept in the headers, and the queue''s table has none: '
                           || 'pgmq is older than 1.5.',
                  hint = 'Upgrade pgmq, or use one queue for urgent messages and another for the others.';
    end if;
    if not exists (select from pg_class where oid = relation and pg_has_role(relowner, 'USAGE')) then
        raise exception 'queue % is not ours', quote_literal(queue)
            using errcode = 'PM005',
                  detail = 'Priorities need an index, and only the owner of a table builds one on it.',
                  hint = 'Ask the owner of the table to call postmill.enable_priority. Until then all messages are '
                         || 'served in the order in which they were sent.';
    end if;
    if taken_by is null then
        execute format(
            'create index %I on %s ((left(headers ->> ''postmill-priority'', 1) collate "C"), vt, msg_id) '
            'where headers ? ''postmill-priority''', index_name, relation);
    elsif not exists (select from pg_index where indexrelid = taken_by and indrelid = relation and indisvalid) then
        raise exception 'pgmq.% is there and can''t be used', index_name
            using errcode = 'PM005',
                  detail = 'It is not a complete index of this queue''s table. Building it may have been interrupted.',
                  hint = format('Drop it: drop index pgmq.%I; then call postmill.enable_priority again.', index_name);
    end if;
    insert into postmill.queues as row (queue_name, owned, has_priorities, priority_aging)
    values (queue, false, true, coalesce(aging, interval '1 minute'))
    on conflict (queue_name) do update
    set has_priorities = true, priority_aging = coalesce(aging, row.priority_aging);
    perform pg_notify(('postmill.' || queue)::name::text, '');
end
$$;
