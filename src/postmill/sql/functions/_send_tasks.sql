-- Sends messages to queues: one insert a queue. The arrays have an entry a message; a priority or a group may be
-- null. A message with a group is parked until its group has room. Returns the queues that took none, because they are
-- gone or closed to the owner of this function: what becomes of the runs is the caller's affair, and messages to other
-- queues are sent.
-- Called by the functions that start steps. Locks: none beyond the inserts'. Errors: what a user's trigger raises.
create or replace function postmill._send_tasks(
    queues text[], due_at timestamptz[], messages jsonb[], priorities integer[], groups text[] default null
) returns text[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
set enable_sort = on
set jit = off
as $$
declare
    sent     record;
    relation regclass;
    refused  text[] := '{}';
begin
    for sent in
        select task.queue, task.group_key is not null as is_grouped,
               array_agg(task.due_at order by task.place) as due_at,
               array_agg(task.message order by task.place) as messages,
               array_agg(task.group_key order by task.place) as groups,
               count(task.priority) + count(task.group_key) > 0 as has_headers,
               array_agg(case when task.group_key is not null
                              then jsonb_strip_nulls(jsonb_build_object(
                                  'postmill-priority', task.priority, 'postmill-group', task.group_key))
                              when task.priority is not null
                              then jsonb_build_object('postmill-priority', task.priority) end
                         order by task.place) as headers
          from unnest(queues, due_at, messages, priorities, groups) with ordinality
            as task (queue, due_at, message, priority, group_key, place)
         group by task.queue, is_grouped
         order by task.queue, is_grouped
    loop
        begin
            relation := postmill._queue_table(sent.queue);
            if sent.has_headers and not exists (
                select from pg_attribute where attrelid = relation and attname = 'headers')
            then
                sent.has_headers := false;  -- an old pgmq's: no limits of groups can be set for it either
            end if;
            if sent.is_grouped and sent.has_headers then
                perform postmill._send_grouped(sent.queue, sent.due_at, sent.messages, sent.headers, sent.groups);
            elsif sent.has_headers then
                execute format(
                    'insert into %s (vt, message, headers) select unnest($1), unnest($2), unnest($3)', relation)
                using sent.due_at, sent.messages, sent.headers;
            else
                execute format('insert into %s (vt, message) select unnest($1), unnest($2)', relation)
                using sent.due_at, sent.messages;
            end if;
        exception when sqlstate 'PM001' or undefined_table or insufficient_privilege then
            refused := refused || sent.queue;
        end;
    end loop;
    return refused;
end
$$;
