-- Deletes rows of the audit that are older than 90 days, and the answers to requests that are older than a day; at most
-- 100 of each. Time is postmill.now(). Has its owner's rights: whoever acts can add to the audit, and not take from it.
-- Called by each action (audit_note). Locks: the deleted rows, skipping locked ones. Errors: none.
create or replace function postmill._prune_audit() returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
    delete from postmill.audit where audit_id = any (array(
        select old.audit_id from postmill.audit as old
        where old.at < postmill.now() - interval '90 days'
        order by old.at limit 100 for update skip locked));
    delete from postmill.idempotency_keys where (viewer, key) in (
        select old.viewer, old.key from postmill.idempotency_keys as old
        where old.at < postmill.now() - interval '1 day'
        order by old.at limit 100 for update skip locked);
$$;
