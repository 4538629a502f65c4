-- Puts the wake-up trigger on a queue, so that idle workers start on a message at once instead of at their next poll;
-- the trigger of an earlier release is replaced. For a queue that Postmill did not create only the owner of its table
-- may ask.
-- Called by create_queue and by owners who opt in. Locks: SHARE ROW EXCLUSIVE on the queue's table, only when the
-- trigger is not there yet. Errors: PM001 no such queue, PM005 not your table.
create or replace function postmill.enable_wakeups(queue text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    relation regclass := postmill._named_table(queue);
begin
    if exists (select from pg_trigger where tgrelid = relation and tgname = 'postmill_wake' and tgnewtable is not null)
    then
        return;
    end if;
    if not exists (select from postmill.queues where queue_name = queue and owned)
        and not exists (select from pg_class where oid = relation and pg_has_role(relowner, 'USAGE'))
    then
        raise exception 'queue % is not ours', quote_literal(queue)
            using errcode = 'PM005',
                  detail = 'Another client created it; a trigger is put on it only by the owner of its table.',
                  hint = 'Ask the owner to call postmill.enable_wakeups, or leave it: workers poll.';
    end if;
    execute format(
        'create or replace trigger postmill_wake after insert on %s referencing new table as sent '
        'for each statement execute function postmill.wake(%L, ''sent'')',
        relation, queue);
end
$$;
