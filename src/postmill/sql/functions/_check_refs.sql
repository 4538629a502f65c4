-- Refuses references that name no message which a new one can wait for: what is no reference, the message itself, and
-- messages that come later. So no messages can wait for each other in a ring.
-- Called by _block. Takes no locks. Errors: PM003.
create or replace function postmill._check_refs(queue text, ids bigint[], after jsonb[]) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    wrong record;
begin
    select * into wrong from postmill._refs(after) as ref
    where coalesce(ref.batch_place, ref.source_id) is null
       or ref.batch_place >= ref.place or ref.batch_place < 1
       or (ref.source_queue = lower(queue) and ref.source_id >= ids[ref.place])
    limit 1;
    if not found then
        return;
    elsif coalesce(wrong.batch_place, wrong.source_id) is null then
        raise exception '% is no reference to a message', wrong.said
            using errcode = 'PM003',
                  hint = 'Give ''queue:id'', or in a batch ''#3'' for its third message.';
    elsif wrong.batch_place is null then
        raise exception 'queue % has no message % yet', quote_literal(queue), wrong.source_id
            using errcode = 'PM003',
                  detail = 'A message waits for messages that were sent before it.',
                  hint = 'Give the id that their send returned, or in a batch ''#3'' for its third message.';
    end if;
    raise exception 'message % of the batch can''t wait for %', wrong.place, wrong.said
        using errcode = 'PM003',
              detail = 'A message waits for messages that stand before it in its batch.',
              hint = 'Put the messages in the order in which they are to run.';
end
$$;
