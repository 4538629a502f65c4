-- Whether a message of a queue falls due within `span`, or one that waits for a place in its group could run by then.
-- Of those the first 1,000 are looked at; more of them count as due.
-- Called by desired_workers, when nothing runs and nothing is ready, and by _has_work. Takes no locks. Errors: none.
create or replace function postmill._due_within(queue text, relation regclass, span interval) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
    soon   constant timestamptz := statement_timestamp() + span;
    is_due boolean;
begin
    execute format('select exists (select from %s where vt <= $1 order by vt limit 1)', relation)
    into is_due using soon;
    return is_due or (
        select count(*) >= 1000 or coalesce(bool_or(waiting.rank <= soon), false)
        from (
            select gate.rank from postmill.gates as gate
            where gate.queue_name = lower(queue) and gate.claim_id is null order by gate.msg_id limit 1000
        ) as waiting);
end
$$;
