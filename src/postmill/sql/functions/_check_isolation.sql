-- Refuses a transaction whose statements all see what was there when it began: what is decided about a run under its
-- lock must be read after the lock was got.
-- Called by the functions that settle, hold or start steps of runs. Takes no locks. Errors: PM005.
create or replace function postmill._check_isolation() returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
        raise exception 'steps of flows can''t be settled in a transaction that is %',
                        current_setting('transaction_isolation')
            using errcode = 'PM005', detail = 'It would not see what others did before it got the lock on a run.',
                  hint = 'Use READ COMMITTED.';
    end if;
end
$$;
