-- Writes down, once, that messages of a queue wait at gates: its workers look there from their next poll on. They know
-- the queue by the name that pgmq has on record, a sender may spell it otherwise.
-- Called by _park and by the statement park. Locks: the queue's row in queues, the first time only. Errors: none.
create or replace function postmill._set_gated(queue text) returns void
language plpgsql volatile
set search_path = ''
as $$
begin
    if not exists (select from postmill.queues where queue_name = queue and gated) then
        insert into postmill.queues (queue_name, owned, gated)
        select coalesce(min(meta.queue_name), queue), false, true
        from pgmq.meta as meta where lower(meta.queue_name) = lower(queue)
        on conflict (queue_name) do update set gated = true;
    end if;
end
$$;
