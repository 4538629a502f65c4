-- Lets workers serve a queue in the order in which its messages were sent again, and drops the index of priorities.
-- Messages keep their priority: it is honoured again after another enable_priority. Nothing happens when it is
-- disabled.
-- Called by people and the command line. Locks: ACCESS EXCLUSIVE on the queue's table for a moment, only when the index
-- is there; then the queue's row in postmill.queues.
-- Errors: PM001 no such queue, PM005 not your table.
create or replace function postmill.disable_priority(queue text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    relation regclass := postmill._named_table(queue);
    index_name name := postmill._priority_index(relation);
begin
    if exists (select from pg_index
                where indrelid = relation and indexrelid = to_regclass(format('pgmq.%I', index_name)))
    then
        if not exists (select from pg_class where oid = relation and pg_has_role(relowner, 'USAGE')) then
            raise exception 'queue % is not ours', quote_literal(queue)
                using errcode = 'PM005',
                      detail = 'Only the owner of a table drops an index of it.',
                      hint = 'Ask the owner of the table to call postmill.disable_priority.';
        end if;
        execute format('drop index pgmq.%I', index_name);
    end if;
    update postmill.queues set has_priorities = false where queue_name = queue and has_priorities;
    perform pg_notify(('postmill.' || queue)::name::text, '');
end
$$;
