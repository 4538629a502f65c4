-- Drops a queue with its archive and all that is kept about it: claims, failures, results, cancellations, dead letters.
-- Refused while dead letters wait to be replayed or runs of flows need it, unless `force`, which cancels these runs.
-- Messages that wait or run are gone with the table.
-- Called by people and the command line. Locks: the runs by id; pgmq's advisory lock; ACCESS EXCLUSIVE on the queue's
-- tables; our rows. Errors: PM001 no such queue, PM005 dead letters or runs, insufficient_privilege for anyone but the
-- owner of its table.
create or replace function postmill.drop_queue(name text, force boolean default false) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
declare
    letters bigint;
    live    bigint[];
begin
    perform postmill._named_table(drop_queue.name);
    select count(*) into letters
    from postmill.dead_letters where queue_name = drop_queue.name and replayed_at is null;
    if letters > 0 and not force then
        raise exception 'queue % has % dead letters that nobody has replayed', quote_literal(drop_queue.name), letters
            using errcode = 'PM005',
                  hint = 'Replay them, or insist: postmill.drop_queue('
                         || quote_literal(drop_queue.name) || ', force => true)';
    end if;
    live := postmill._live_runs(drop_queue.name);
    if live <> '{}' and not force then
        raise exception 'queue % has tasks of % runs that have not ended', quote_literal(drop_queue.name),
            cardinality(live)
            using errcode = 'PM005', detail = format('The first is run %s.', live[1]),
                  hint = 'Cancel them, or insist: postmill.drop_queue('
                         || quote_literal(drop_queue.name) || ', force => true)';
    end if;
    if live <> '{}' then
        perform postmill._cancel_and_lock(drop_queue.name);
    end if;
    perform pgmq.drop_queue(queue_name => drop_queue.name);
    perform postmill._forget_queue(drop_queue.name, dead_too => true);
end
$$;
